"""Requests from the journal → rows of the stores."""

from rota_collector.decode.events import RunEventsForTwo, run_events
from rota_collector.decode.heartbeats import Heartbeat, heartbeats
from rota_collector.decode.logs import logs
from rota_collector.decode.metrics import metrics
from rota_collector.decode.scalars import uuid_of
from rota_collector.decode.spans import spans
from rota_collector.decode.tasks import TaskEnd, task_ends

__all__ = [
    "Heartbeat", "RunEventsForTwo", "TaskEnd", "heartbeats", "logs", "metrics", "run_events", "spans", "task_ends", "uuid_of",
]  # fmt: skip
