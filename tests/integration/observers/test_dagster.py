"""What is particular to Dagster: its assets, runs that retry runs, its history beside its handler, and gates as ops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from collectors import clean_environment
from observed import seen
from observers.system import PROGRAMS
from orchestrators import SOURCES, python_of
from scripts import Outcome, read_back, run_script

from rota.wire import names

FLOW = str(PROGRAMS / "dagster_flow.py")
# Dagster's own capture of what steps print loses the end of it now and then.
YAML = """
telemetry: {enabled: false}
compute_logs: {module: dagster._core.storage.noop_compute_log_manager, class: NoOpComputeLogManager}
python_logs: {dagster_handler_config: {handlers: {rota: {class: rota_integrations.dagster.Handler}}}}
"""


def environment(home: Path | str, instance: Path, **settings: str) -> dict[str, str]:
    """Of somebody who runs Dagster while nobody listens."""
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", **settings}
    return clean_environment(ROTA_HOME=str(home), DAGSTER_HOME=str(instance), PYTHONPATH=SOURCES, **nobody)


def observe(home: Path, instance: Path) -> Outcome:
    """What is told by then, when the instance is looked at once."""
    command = [python_of("dagster"), "-m", "rota", "observe", "dagster", "--once"]
    subprocess.run(command, env=environment(home, instance), check=True, timeout=60)
    return told(home)


def told(home: Path) -> Outcome:
    """All that was told into a home."""
    found = read_back(Outcome(0, b"", b"", home))
    assert found.errors == ""
    return found


def ids(found: Outcome) -> set[str]:
    """Of the states and spans."""
    return {each[names.EVENT_ID] for each in found.events} | {span["spanId"] for span in found.spans}


@pytest.fixture
def dagster(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a script in an instance whose dagster.yaml names the handler."""
    instance = tmp_path / "instance"
    instance.mkdir()
    (instance / "dagster.yaml").write_text(YAML)

    def run(source: str, home: Path | str = tmp_path / "home", **settings: str) -> subprocess.CompletedProcess[str]:
        where = environment(home, instance, **settings)
        (tmp_path / "flow.py").write_text(source)
        command = [python_of("dagster"), str(tmp_path / "flow.py")]
        return subprocess.run(command, env=where, capture_output=True, text=True, check=False, timeout=120)

    return run


def test_the_history_tells_what_the_handler_tells(tmp_path: Path) -> None:
    """By the same ids; and again by the same ids for who looks anew, also at a run that is not over."""
    instance, by_handler, by_history = tmp_path / "work" / "dagster", tmp_path / "handler", tmp_path / "history"
    command = [python_of("dagster"), FLOW, "retry upstream killed", str(tmp_path / "work")]
    where = environment(by_handler, instance)
    with subprocess.Popen(command, env=where, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        first = ids(observe(by_history, instance))
        process.send_signal(signal.SIGKILL)
    assert ids(told(by_handler)) == first
    again = observe(by_history, instance)
    assert ids(again) == first
    states = {run.workflow: run.states for run in seen(by_history)}
    assert states == {"retry": ["running", "succeeded"], "upstream": ["running", "failed"], "killed": ["running"]}


ASSETS = """
from dagster import *
@asset
def orders(): return MaterializeResult(metadata={"dagster/row_count": 7})
@multi_asset(outs={"a": AssetOut(), "b": AssetOut()})
def both(): return 1, 2
@op
def nightly_load(): raise ValueError("row 7")
@job
def nightly(): nightly_load()
with DagsterInstance.get() as instance:
    materialize([orders, both], instance=instance)
    first = nightly.execute_in_process(instance=instance, raise_on_error=False)
    print(first.run_id)
    tags = {"dagster/root_run_id": first.run_id, "dagster/parent_run_id": first.run_id, "dagster/retry_number": "1"}
    nightly.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
"""


def test_assets_are_datasets_and_a_run_that_retries_another_is_its_attempt(dagster, tmp_path: Path) -> None:
    """With the rows that their metadata says; each of several that one step makes for itself."""
    done = dagster(ASSETS)
    assert done.returncode == 0, done.stderr
    found = told(tmp_path / "home")
    datasets = {span["attributes"][names.DATASET_NAME]: span for span in found.spans if names.DATASET_NAME in span["attributes"]}
    assert set(datasets) == {"orders", "a", "b"}
    assert datasets["orders"]["attributes"][names.DATASET_ROWS] == 7
    attempts = [each for each in found.events if each.get(names.WORKFLOW) == "nightly" and names.STATE in each]
    assert {each[names.RUN_ID] for each in attempts} == {done.stdout.strip()}
    assert [(each[names.STATE], each[names.ATTEMPT]) for each in attempts] == [
        ("running", 1), ("failed", 1), ("running", 2), ("failed", 2),
    ]  # fmt: skip
    assert {each[names.ERROR_TYPE] for each in attempts if each[names.STATE] == "failed"} == {"ValueError"}


GATES = """
import json, sys
from dagster import *
from rota_integrations.dagster.gates import rota_gate
@op(ins={"start": In(Nothing)})
def load(): pass
def outcome(workflow):
    @graph
    def gated(): load(start=rota_gate(workflow)())
    done = gated.to_job(name="gated").execute_in_process(raise_on_error=False)
    failures = [each for each in done.all_events if each.is_step_failure]
    reason = failures[0].event_specific_data.user_failure_data.description if failures else ""
    skipped = [each.step_key for each in done.all_events if each.is_step_skipped]
    return done.success, skipped, reason
print(json.dumps([outcome(name) for name in ("dagster.open", "dagster.paused", "dagster.waits")]))
"""


def test_what_depends_on_a_gate_runs_when_it_opens(dagster, shared_collector) -> None:
    """It is skipped when the gates say so; a gate that does not open in time fails, with why."""
    shared_collector.put("/api/v1/workflows/dagster.open/policy", {"gates": [{"kind": "concurrency", "limit": 1}]})
    shared_collector.put("/api/v1/workflows/dagster.paused/policy", {"gates": [{"kind": "concurrency", "limit": 1}]})
    shared_collector.post("/api/v1/workflows/dagster.paused/pause", {})
    shared_collector.put("/api/v1/workflows/dagster.waits/policy", {"gates": [{"kind": "upstream", "workflow": "dagster.never"}]})
    done = dagster(GATES, ROTA_ENDPOINT=shared_collector.url)
    assert done.returncode == 0, done.stderr
    opened, paused, waits = json.loads(done.stdout)
    assert opened == [True, [], ""]
    assert paused == [True, ["load"], ""]
    assert waits[:2] == [False, []]
    assert waits[2].startswith("the gates of dagster.waits say wait: ")
    assert "dagster.never" in waits[2]


@pytest.mark.soak  # Dagster starts twice
def test_dagster_does_not_notice_a_home_that_cannot_be(dagster) -> None:
    """Its steps, their failures and what it prints are those of a process that rota is disabled in."""

    def does(**settings: str) -> tuple[int, int, int]:
        done = dagster(ASSETS, "/dev/null/no", **settings)
        return done.returncode, len(done.stdout.splitlines()), len(done.stderr.splitlines())

    assert does() == does(ROTA_DISABLED="1")


def test_a_dagster_that_is_too_old_is_refused(tmp_path: Path) -> None:
    """The message says which is there, and the extra that brings a newer one."""
    (tmp_path / "dagster.py").touch()
    (tmp_path / "dagster-1.9.13.dist-info").mkdir()
    (tmp_path / "dagster-1.9.13.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: dagster\nVersion: 1.9.13\n")
    where = {"PYTHONPATH": os.pathsep.join((SOURCES, str(tmp_path)))}
    found = run_script("import rota_integrations.dagster", tmp_path / "home", environment=where)
    assert b"needs dagster 1.10; 1.9.13 is installed: pip install 'rota[dagster]'" in found.stderr
