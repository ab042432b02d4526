"""Jobs of Dagster's, by the names of scenarios, in an instance whose dagster.yaml names rota's handler. Here is nothing of it."""

import os
import sys
import time
from datetime import datetime
from pathlib import Path

from dagster import (
    DagsterInstance,
    DynamicOut,
    DynamicOutput,
    Out,
    Output,
    RetryPolicy,
    ScheduleDefinition,
    build_schedule_context,
    execute_job,
    graph,
    job,
    multiprocess_executor,
    op,
    reconstructable,
)  # fmt: skip

SCENARIOS, FOLDER, UP = sys.argv[1].split(), Path(sys.argv[2]), "up\n"
YAML = "telemetry: {enabled: false}\n"
HANDLER = "python_logs: {dagster_handler_config: {handlers: {rota: {class: rota_integrations.dagster.Handler}}}}\n"


@op(out=Out(is_required=False))
def extract(context):
    """As the scenario wants it."""
    if context.job_name == "cancel":  # Dagster's launcher notes that somebody wants it, then interrupts
        context.instance.report_run_canceling(context.run)
    if context.job_name in ("cancel", "killed"):
        sys.stdout.write(UP)
        sys.stdout.flush()
        time.sleep(60)
    if context.job_name == "upstream" or (context.job_name == "retry" and context.retry_number == 0):
        raise ValueError("row 7")
    if context.job_name != "skip":
        yield Output(1)


@op
def load(context, found):
    """As the scenario wants it."""
    del found
    if context.job_name == "failure":
        raise ValueError("row 7")


@op(out=DynamicOut())
def parts():
    """Three."""
    for number in range(3):
        yield DynamicOutput(number, mapping_key=str(number))


@op(name="extract")
def extract_part(number: int):
    """One of them."""
    return number


@op
def nothing():
    """One of many."""


@graph
def straight():
    """One after the other."""
    load(extract())


@graph
def fanned():
    """Three parts."""
    load(parts().map(extract_part).collect())


@graph
def many():
    """As many as ``TASKS`` says."""
    for number in range(int(os.environ.get("TASKS", "200"))):
        nothing.alias(f"nothing_{number}")()


@graph
def retried():
    """The first is tried twice."""
    load(extract.with_retry_policy(RetryPolicy(max_retries=1))())


GRAPHS = {"fan_out": fanned, "many": many, "retry": retried}


@job
def schedule():
    """What a schedule is for."""
    load(extract())


NIGHTLY = ScheduleDefinition(name="nightly", job=schedule, cron_schedule="0 2 * * *", execution_timezone="Europe/Berlin")


def define():
    """The job of the scenario, also in processes of its steps."""
    name = os.environ["SCENARIO"]
    return GRAPHS.get(name, straight).to_job(name=name, executor_def=multiprocess_executor.configured({"max_concurrent": 2}))


def run(name: str, instance: DagsterInstance) -> float:
    """Seconds that it took."""
    os.environ["SCENARIO"] = name
    began = time.monotonic()
    if name == "schedule":
        with build_schedule_context(instance, scheduled_execution_time=datetime.fromisoformat("2026-01-02T01:00:00+00:00")) as at:
            (request,) = NIGHTLY.evaluate_tick(at).run_requests
        schedule.execute_in_process(instance=instance, tags=dict(request.tags))
    elif os.environ.get("EXECUTOR") == "multiprocess":
        execute_job(reconstructable(define), instance=instance, raise_on_error=False)
    else:
        define().execute_in_process(instance=instance, raise_on_error=False)
    return time.monotonic() - began


if __name__ == "__main__":
    home = FOLDER / "dagster"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text(YAML + (HANDLER if os.environ.get("OBSERVED") != "no" else ""))
    os.environ["DAGSTER_HOME"] = str(home)
    with DagsterInstance.get() as found:
        for each in SCENARIOS:
            seconds = run(each, found)
    sys.stdout.write(f"{seconds}\n")
