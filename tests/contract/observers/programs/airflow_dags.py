"""What the DAGs are. Nothing here knows of rota."""

import os
from datetime import timedelta

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException
from airflow.timetables.trigger import CronTriggerTimetable

DAGS = {}


@task(retries=0)
def extract(scenario, part=0, **context):
    """The first one."""
    if scenario == "upstream" or (scenario == "retry" and context["ti"].try_number == 1):
        raise ValueError("row 7")


@task
def load(scenario):
    """The last one."""
    if scenario == "skip":
        raise AirflowSkipException("nothing to do")
    if scenario == "failure":
        raise ValueError("row 7")


for name in os.environ["AIRFLOW_SCENARIOS"].split():
    timetable = CronTriggerTimetable("0 2 * * *", timezone="Europe/Berlin") if name == "schedule" else None
    with DAG(name, schedule=timetable, default_args={"retry_delay": timedelta(seconds=0)}) as DAGS[name]:
        first = extract.override(retries=1) if name == "retry" else extract
        if name == "fan_out":
            first.partial(scenario=name).expand(part=[0, 1, 2]) >> load(name)
        elif name == "many":
            extract.partial(scenario=name).expand(part=list(range(int(os.environ.get("TASKS", "200")))))
        else:
            first(name) >> load(name)
    globals()[name] = DAGS[name]
