"""Requests from the journal → rows of the stores."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from rota_collector.decode.events import RunEventsForTwo, run_events
from rota_collector.decode.heartbeats import Heartbeat, heartbeats
from rota_collector.decode.logs import logs
from rota_collector.decode.looks import looks
from rota_collector.decode.metrics import metrics
from rota_collector.decode.scalars import uuid_of
from rota_collector.decode.schedules import ToldSchedule, schedules
from rota_collector.decode.spans import spans
from rota_collector.decode.tasks import TaskEnd, task_ends
from rota_collector.domain.looking import Look
from rota_collector.journal import Record

__all__ = [
    "Beside", "Heartbeat", "Look", "RunEventsForTwo", "TaskEnd", "ToldSchedule", "beside", "heartbeats", "logs", "looks",
    "metrics", "run_events", "schedules", "spans", "task_ends", "uuid_of",
]  # fmt: skip


class Beside(NamedTuple):
    """What the control store takes beside the events of runs."""

    heartbeats: Sequence[Heartbeat] = ()
    ends: Sequence[TaskEnd] = ()
    schedules: Sequence[ToldSchedule] = ()
    looks: Sequence[Look] = ()


def beside(records: Sequence[Record], ruled: Collection[str]) -> Beside:
    """All of it in these records; the ends of tasks only of the workflows that have rules."""
    return Beside(heartbeats(records), task_ends(records, ruled), schedules(records), looks(records))
