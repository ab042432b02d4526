"""The schedule that made a run: its nominal time is in the run's tags, its cron expression in the code that is loaded here."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, Iterator, Mapping, Optional

from rota.wire import names


def slot_of(tags: Mapping[str, str]) -> Optional[int]:
    """The nominal time, Unix ns, that the scheduler gave the run."""
    at = tags.get(".dagster/scheduled_execution_time")
    return int(datetime.fromisoformat(at).timestamp()) * 10**9 if at else None


def declared_of(job: str, tags: Mapping[str, str]) -> Optional[dict[str, str]]:
    """When the job should run, as its schedule says; None for a run that no schedule made, or whose schedule is not found.

    Where several schedules make runs of one job, none of them is the workflow's.
    """
    if "dagster/schedule_name" not in tags:
        return None
    found = {schedule.name: schedule for schedule in _loaded() if schedule.job_name == job}
    schedule = found.get(tags["dagster/schedule_name"]) if len(found) == 1 else None
    if schedule is None or not isinstance(schedule.cron_schedule, str):
        return None
    return {names.SCHEDULE_SPEC: schedule.cron_schedule, names.SCHEDULE_TZ: schedule.execution_timezone or "UTC"}


def _loaded() -> Iterator[Any]:
    """Schedules among the names of modules, where Dagster too finds definitions."""
    from dagster import Definitions, RepositoryDefinition, ScheduleDefinition

    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            kind = type(value)
            if kind is ScheduleDefinition:
                yield value
            elif kind is Definitions:
                yield from (each for each in value.schedules or () if isinstance(each, ScheduleDefinition))
            elif kind is RepositoryDefinition:
                yield from value.schedule_defs
