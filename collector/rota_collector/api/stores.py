"""What the endpoints read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from rota.rules.fold import Run
from rota_collector.clock import Clock
from rota_collector.domain.message import Message
from rota_collector.notify.outcome import Outcome
from rota_collector.store.alerts import Alerts, Channel
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.keys import Keys
from rota_collector.store.telemetry import Telemetry


class Progress(Protocol):
    """How a store follows the journal."""

    trouble: str | None

    @property
    def lag_bytes(self) -> int:
        """Bytes of the journal that the store does not have yet."""

    @property
    def lag_seconds(self) -> float:
        """How old what it does not have yet may be."""

    def is_alive(self) -> bool:
        """Whether it still follows."""


class Sender(Protocol):
    """Who sends alerts."""

    def check(self, url: str) -> str:
        """The address of a channel as people may see it. Raises ChannelRefused."""

    def send_now(self, channel: Channel, message: Message) -> Outcome:
        """Send a message past the outbox, once."""


@dataclass(frozen=True)
class Stores:
    """What the endpoints read and write."""

    control: Control
    telemetry: Telemetry
    control_progress: Progress
    telemetry_progress: Progress
    clock: Clock
    expectations: Expectations
    alerts: Alerts
    sender: Sender
    submit: Callable[[Sequence[str]], int]  # log records (JSON) into the journal: their offset there. Raises JournalError
    home: Path | None = None  # whose files are measured
    metrics_workflows: int = 2000  # so many have numbers of their own
    numbers: Callable[[], Mapping[str, float]] = dict  # what receivers, journal, monitor and sender count, by series

    @cached_property
    def keys(self) -> Keys:
        """The keys, which the API changes and the receivers ask for."""
        return Keys(self.control.engine)

    def with_slots(self, runs: Sequence[Run]) -> list[Run]:
        """``runs``, those that name no slot themselves with the slot that they were found to fill."""
        found = self.expectations.slots.of_runs([run.run_id for run in runs if run.slot_ns is None])
        return [run._replace(slot_ns=found[run.run_id]) if run.run_id in found else run for run in runs]
