"""Workflows of DBOS's, by the names of scenarios, in an SQLite file. Nothing of rota's in it."""

import os
import sys
import time

from dbos import DBOS

SCENARIOS, FOLDER = sys.argv[1].split(), sys.argv[2]
os.makedirs(FOLDER, exist_ok=True)
database = "sqlite:///" + os.path.join(FOLDER, "dbos.sqlite")
DBOS(
    config={
        "name": "flow",
        "system_database_url": database,
        "run_admin_server": False,
        "log_level": "CRITICAL",
        "application_version": "1",
    }
)


@DBOS.step(retries_allowed=True, interval_seconds=0.01, max_attempts=2)
def extract(scenario, part=0):
    """The first step."""
    if scenario == "cancel":
        DBOS.cancel_workflow(DBOS.workflow_id)
    if scenario == "killed":
        sys.stdout.write("up\n")
        sys.stdout.flush()
        time.sleep(0 if "RECOVER" in os.environ else 60)
    mark = os.path.join(FOLDER, "tried")
    if scenario == "upstream" or (scenario == "retry" and not os.path.exists(mark)):
        open(mark, "w").close()
        raise ValueError("row 7")


@DBOS.step()
def load(scenario):
    """The last one."""
    if scenario == "failure":
        raise ValueError("row 7")


def flow(scenario):
    """A workflow that is called as its scenario is."""

    def steps(*_):
        for part in range(3 if scenario == "fan_out" else 1):
            extract(scenario, part)
        load(scenario)

    return DBOS.workflow(name=scenario)(steps)


flows = {scenario: flow(scenario) for scenario in SCENARIOS}
if __name__ == "__main__":
    DBOS.launch()
    if "RECOVER" in os.environ:  # what another process left
        while DBOS.list_workflows(status=["PENDING", "ENQUEUED"]):
            time.sleep(0.05)
        SCENARIOS.clear()
    for scenario in SCENARIOS:
        try:
            if scenario == "schedule":
                name = "nightly"
                how = {"schedule_name": name, "workflow_fn": flows[scenario], "schedule": "0 2 * * *"}
                DBOS.create_schedule(**how, cron_timezone="Europe/Berlin")
                DBOS.trigger_schedule(name).get_result()
            else:
                flows[scenario]()
        except Exception as error:  # noqa: BLE001  as DBOS tells it to its caller
            sys.stderr.write("%s: %s\n" % (scenario, error))
    DBOS.destroy()
