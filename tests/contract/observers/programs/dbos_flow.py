"""Workflows of DBOS, by the names of scenarios, in turn. Nothing here knows of rota."""

import os
import shutil
import sys
import threading
import time

from dbos import DBOS, run_dbos_database_migrations

SCENARIOS, FOLDER = sys.argv[1].split(), sys.argv[2]
RETRIES = {"retries_allowed": True, "interval_seconds": 0.1}
TASKS = int(os.environ.get("TASKS", "200"))
FILE = os.path.join(FOLDER, "dbos.sqlite")
URL = os.environ.get("DBOS_SYSTEM_DATABASE_URL", "sqlite:///" + FILE)
EMPTY = os.path.join(sys.prefix, "empty.sqlite")  # made once for the environment: its tables take ten seconds
tried = []
extracts = threading.Event()


def extract(scenario):
    """The first one."""
    extracts.set()
    if scenario == "upstream" or (scenario == "retry" and not tried):
        tried.append(scenario)
        raise ValueError("row 7")
    while scenario == "killed" or (scenario == "cancel" and DBOS.get_workflow_status(DBOS.workflow_id).status == "PENDING"):
        sys.stdout.write("up\n" if scenario == "killed" else "")
        sys.stdout.flush()
        time.sleep(60 if scenario == "killed" else 0.05)


@DBOS.step(name="load")
def load(scenario):
    """The last one."""
    if scenario == "failure":
        raise ValueError("row 7")


def flow_of(scenario):
    """The workflow of that name."""

    def flow(*_about_schedule):
        for _ in range({"fan_out": 3, "many": TASKS}.get(scenario, 1)):
            DBOS.run_step({"name": "extract", **({} if scenario != "retry" else RETRIES)}, extract, scenario)
        load(scenario)

    flow.__qualname__ = scenario
    return DBOS.workflow(name=scenario)(flow)


def run(scenario, flow):
    """To its end, however that is."""
    if scenario == "schedule":
        DBOS.create_schedule(schedule_name="nightly", workflow_fn=flow, schedule="0 2 * * *", cron_timezone="Europe/Berlin")
        handle = DBOS.retrieve_workflow(DBOS.trigger_schedule("nightly").workflow_id)
    else:
        extracts.clear()
        handle = DBOS.start_workflow(flow)
    if scenario == "cancel":
        extracts.wait()
        DBOS.cancel_workflow(handle.workflow_id)
    try:
        handle.get_result(polling_interval_sec=0.05)
    except Exception as error:  # noqa: BLE001  that is the scenario
        sys.stderr.write(f"{scenario}: {error}\n")


def prepare():
    """An empty database."""
    os.makedirs(FOLDER, exist_ok=True)
    if not os.path.exists(EMPTY):
        new = f"{EMPTY}.{os.getpid()}"
        run_dbos_database_migrations(f"sqlite:///{new}")
        os.rename(new, EMPTY)
    if URL.endswith(FILE) and not os.path.exists(FILE):
        shutil.copy(EMPTY, FILE)


if __name__ == "__main__":
    prepare()
    DBOS(config={"name": "flows", "system_database_url": URL, "run_admin_server": False, "log_level": "CRITICAL"})
    flows = {scenario: flow_of(scenario) for scenario in SCENARIOS}
    DBOS.launch()
    for scenario, flow in flows.items():
        began = time.monotonic()
        run(scenario, flow)
    seconds = time.monotonic() - began
    DBOS.destroy()
    sys.stdout.write(f"{seconds}\n")
