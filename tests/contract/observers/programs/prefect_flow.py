"""Flows of Prefect's, by the names of scenarios: those in this process at once, those that are ended from outside by a runner."""

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from prefect import flow, get_client, serve, task
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import run_flow
from prefect.states import Cancelling, Completed

NIGHTLY = CronSchedule(cron="0 2 * * *", timezone="Europe/Berlin")
PATIENCE_SECONDS = 120


@task
def extract(part=0):
    """The first task."""


@task(name="extract")
def failing():
    """The same, which cannot."""
    raise ValueError("row 7")


tries = []


@task(name="extract", retries=1, retry_delay_seconds=0.2)
def flaky():
    """The same, which can the second time."""
    tries.append(1)
    if len(tries) == 1:
        raise ValueError("row 7")


@task
def load(_data=None):
    """The last task."""


@task(name="load")
def spoiled():
    """The same, which cannot."""
    raise ValueError("row 7")


@task(name="load")
def needless():
    """The same, which need not."""
    return Completed(name="Skipped", message="nothing to do")


@flow
def success():
    """Both."""
    extract()
    load()


@flow
def failure():
    """The last fails."""
    extract()
    spoiled()


@flow
def retry():
    """The first fails, once."""
    flaky()
    load()


@flow
def skip():
    """There is nothing to do."""
    needless()
    return Completed(name="Skipped", message="nothing to do")


@flow
def upstream():
    """The first fails; what needs it is not run."""
    first = failing.submit()
    return [first, load.submit(first)]


@flow(name="fan_out")
def fan_out():
    """The first in three parts."""
    load(extract.map(range(3)))


@flow
def cancel():
    """Runs until somebody ends it."""
    time.sleep(PATIENCE_SECONDS)


@flow
def killed():
    """Its process is killed."""
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def schedule():
    """Of a deployment that has one."""
    extract()


def scheduled():
    """A run of it, made as a deployment's, and run here."""
    with get_client(sync_client=True) as client:
        when = DeploymentScheduleCreate(schedule=NIGHTLY, active=True)
        made = client.create_deployment(flow_id=client.create_flow(schedule), name="nightly", schedules=[when])
        run_flow(schedule, flow_run=client.create_flow_run_from_deployment(made))


def in_a_runner(name):
    """A run of a deployment that a runner serves, as `flow.serve()` does, until it is over; then the runner is stopped."""
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment_of(client, name))
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        is_asked = False
        while not client.read_flow_run(run.id).state.is_final() and time.monotonic() < give_up_at:
            if name == "cancel" and not is_asked and client.read_flow_run(run.id).state.is_running():
                is_asked = bool(client.set_flow_run_state(run.id, Cancelling()))
            time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)


def deployment_of(client, name):
    """Its id, as soon as the runner has made it."""
    while True:
        try:
            return client.read_deployment_by_name(f"{name}/served").id
        except ObjectNotFound:
            time.sleep(0.1)


def play(name):
    """Do the scenario of that name; what it raises, Prefect keeps."""
    with contextlib.suppress(ValueError):
        (scheduled if name == "schedule" else globals()[name])()


if __name__ == "__main__":
    wanted = sys.argv[1].split()
    if wanted[0] in ("cancel", "killed"):
        threading.Thread(target=in_a_runner, args=wanted, daemon=True).start()
        serve(globals()[wanted[0]].to_deployment("served"))
    else:
        with ThreadPoolExecutor(4) as at_once:
            list(at_once.map(play, wanted))
