"""What the endpoints read and write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from rota.rules.fold import Run
from rota_collector.clock import Clock
from rota_collector.domain.admission import Question
from rota_collector.domain.message import Message
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.journal import Record
from rota_collector.notify.outcome import Outcome
from rota_collector.store.alerts import Alerts, Channel
from rota_collector.store.approvals import Approvals
from rota_collector.store.audit import Audit
from rota_collector.store.budgets import Budgets
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import Keys
from rota_collector.store.leases import Lease, Leases
from rota_collector.store.pools import Pools
from rota_collector.store.questions import Permission
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


class Retaining(Protocol):
    """Who forgets what is old."""

    trouble: str | None


class Sender(Protocol):
    """Who sends alerts."""

    def check(self, url: str) -> str:
        """The address of a channel as people may see it. Raises ChannelRefused."""

    def send_now(self, channel: Channel, message: Message) -> Outcome:
        """Send a message past the outbox, once."""


class Room(Protocol):
    """Who answers questions about permission. Each answer comes when it is on disk."""

    def ask(
        self, question: Question, ticket: str | None, key: str | None, payload: str, wait_seconds: float
    ) -> Future[Permission]:  # fmt: skip
        """Whether to begin. Raises InFlight; the answer may be an error."""

    def renew(self, lease_id: str, token: int) -> Future[Lease | None]:
        """A lease that holds on; None: it does not."""

    def release(self, lease_id: str, token: int) -> Future[Lease | None]:
        """A lease that was given back; None: it was not held."""

    def look_again(self, *, workflow: str | None = None, run_id: str | None = None) -> None:
        """Something changed that those who wait rest on."""


MOST_TAILS = 16


class Source(Protocol):
    """What is read of the journal."""

    def read(self, offset: int, max_bytes: int) -> list[Record]:
        """Records from ``offset`` on, about ``max_bytes`` of them."""


class Tails:
    """Who follows what is told. ``applied`` says up to where in the journal all stores are; when ``stopping``, all tails end."""

    def __init__(self, journal: Source, applied: Callable[[], int], stopping: Callable[[], bool]) -> None:
        self.journal, self.applied, self.stopping = journal, applied, stopping
        self.places = threading.BoundedSemaphore(MOST_TAILS)


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
    tails: Tails
    exports: Path  # a folder for what is being exported
    room: Room
    submit: Callable[[Sequence[str]], int]  # log records (JSON) into the journal: their offset there. Raises JournalError
    retention: Retaining | None = None
    damage: Mapping[int, int] = field(default_factory=dict)  # where the journal could not be read -> how many bytes
    home: Path | None = None  # whose files are measured
    metrics_workflows: int = 2000  # so many have numbers of their own
    numbers: Callable[[], Mapping[str, float]] = dict  # what receivers, journal, monitor and sender count, by series
    rates: Rates = NO_LIMIT  # how often a key may ask
    tell_keys: Callable[[int], None] = lambda _: None  # the number of the last change of a key
    forwarded: Callable[[], Mapping[str, Any]] = dict  # by target, how it follows the journal

    @cached_property
    def keys(self) -> Keys:
        """The keys, to be asked for."""
        return Keys(self.control.path, self.clock)

    @cached_property
    def key_changes(self) -> KeyChanges:
        """The keys, to be changed."""
        return KeyChanges(self.control.engine, self.tell_keys)

    @cached_property
    def audit(self) -> Audit:
        """The record of changes."""
        return Audit(self.control.engine)

    @cached_property
    def leases(self) -> Leases:
        """What is held."""
        return Leases(self.control.engine, self.clock)

    @cached_property
    def approvals(self) -> Approvals:
        """What waits for a person's word."""
        return Approvals(self.control.engine)

    @cached_property
    def pools(self) -> Pools:
        """The limits that somebody set."""
        return Pools(self.control.engine)

    @cached_property
    def budgets(self) -> Budgets:
        """What is spent of retry budgets."""
        return Budgets(self.control.engine, self.expectations.policies.asking, self.clock)

    def with_slots(self, runs: Sequence[Run]) -> list[Run]:
        """``runs``, those that name no slot themselves with the slot that they were found to fill."""
        found = self.expectations.slots.of_runs([run.run_id for run in runs if run.slot_ns is None])
        return [run._replace(slot_ns=found[run.run_id]) if run.run_id in found else run for run in runs]
