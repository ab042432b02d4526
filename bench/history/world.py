"""The collector under a clock that is moved: journal, stores and monitor, without threads and sockets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.history.plan import Plan
from bench.history.run import Line, S
from rota.wire import events
from rota_collector import home as home_dir
from rota_collector.clock import ManualClock
from rota_collector.config import Config
from rota_collector.decode import to_rows
from rota_collector.domain.incident import Incident
from rota_collector.journal import Journal, Record, Signal
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.incidents import IncidentFilter
from rota_collector.store.telemetry import Telemetry
from rota_collector.watch.monitor import Monitor
from rota_collector.watch.tick import Tools

CHANNEL = "https://hooks.acme.invalid/ops"  # a name that no resolver knows: what a collector sends on this home goes nowhere
BATCH_BYTES, REQUEST_BYTES = 32 << 20, 4 << 20


class World:
    """The collector in ``home``, at a time that is set: as ``rota_collector.__main__`` wires it, one step after the other."""

    def __init__(self, home: Path, began_ns: int) -> None:
        self.home, self._opened = home, ExitStack()
        self._opened.callback(os.close, home_dir.lock(home))
        self.clock = ManualClock(began_ns)
        self.journal = Journal(home / "journal", clock=self.clock)
        self._opened.callback(self.journal.close)
        self.telemetry = Telemetry.open(home / "telemetry.duckdb")
        self._opened.callback(self.telemetry.close)
        self.control = Control(home / "control.sqlite")
        self._opened.callback(self.control.close)
        self.expectations = Expectations(self.control.engine, self.clock)
        self.control.observer = self.expectations
        self.alerts = Alerts(self.control.engine)
        self.alerts.add_channel("ops", CHANNEL, now_ns=began_ns, shown="https://hooks.acme.invalid/…")
        tools = Tools(self.expectations, self.alerts, self._last_sign, "http://127.0.0.1:8501")
        self.monitor = Monitor(tools, self.journal, self.control.offset, self.clock, Config.settle_ns)

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_error: object) -> None:
        self._opened.close()

    def at(self, moment: int, arriving: Iterable[Line], plan: Plan) -> None:
        """What reaches the collector by then, then what people do, then a tick of the monitor."""
        self.clock.set_ns(moment)
        for payload in _requests(arriving):
            self.journal.append_blocking(*payload)
        self._follow_control()
        for deed in plan.due_deeds(moment):
            deed(self)
        if moment != plan.down[1]:
            self.monitor._last_beat_ns = moment  # the ticks between are left out, not missed
        self.monitor.tick()
        if self.journal.durable_end - self.telemetry.offset() > BATCH_BYTES:
            self._follow_telemetry()

    def finish(self) -> None:
        """Let all that was decided come back through the journal."""
        while self.control.offset() < self.journal.durable_end:
            self._follow_control()
            self.monitor.tick()
        self._follow_telemetry()

    def _follow_control(self) -> None:
        for records in self._records(self.control.offset()):
            self.control.apply(to_rows.run_events(records), records[-1].next_offset)

    def _follow_telemetry(self) -> None:
        for records in self._records(self.telemetry.offset()):
            self.telemetry.apply(records)

    def _last_sign(self, run_id: str) -> int:
        """What the telemetry knows once it is as far as the journal: it follows in large steps, until somebody asks."""
        self._follow_telemetry()
        return self.telemetry.last_sign(run_id)

    def _records(self, offset: int) -> Iterator[list[Record]]:
        while offset < self.journal.durable_end and (records := self.journal.read(offset, BATCH_BYTES)):
            yield records
            offset = records[-1].next_offset

    def deliver_alerts(self, now_ns: int) -> None:
        """Every alert went out a moment after it was made, as far as anybody knows; the old ones are forgotten."""
        while waiting := self.alerts.page("waiting", None, 500).items:
            for message in waiting:
                self.alerts.mark_sent(message.id, message.created_ns + S)
        self.alerts.prune(now_ns)

    # -- what people do -----------------------------------------------------------------------------------------------

    def put(self, workflow: str, document: dict[str, Any], author: str, reason: str) -> None:
        """Store a policy."""
        self.expectations.policies.put({workflow: document}, author=author, reason=reason, now_ns=self.clock.now_ns())

    def maintain(self, pattern: str, from_ns: int, until_ns: int, by: str, reason: str) -> None:
        """Expect nothing of these workflows for a while."""
        self.expectations.quiet.add_maintenance(
            workflow=pattern, host="*", from_ns=from_ns, until_ns=until_ns, reason=reason, by=by
        )

    def pause(self, workflow: str, by: str, reason: str) -> None:
        """Expect nothing of a workflow until somebody resumes it."""
        self.expectations.quiet.pause(workflow, until_ns=None, by=by, reason=reason, now_ns=self.clock.now_ns())

    def acknowledge(self, workflow: str, by: str) -> None:
        """Somebody looks into the workflow's open incident."""
        self.expectations.incidents.acknowledge(self._open_incident(workflow), by, self.clock.now_ns())

    def snooze(self, workflow: str, until_ns: int) -> None:
        """Nobody wants to hear of it until then."""
        self.expectations.incidents.snooze(self._open_incident(workflow), until_ns, self.clock.now_ns())

    def close_incident(self, workflow: str, by: str) -> None:
        """A person settles it."""
        self.expectations.incidents.close(self._open_incident(workflow), by, self.clock.now_ns())

    def _open_incident(self, workflow: str) -> str:
        return self.expectations.incidents.page(IncidentFilter("open", workflow)).items[0].id

    def incidents(self) -> Iterator[Incident]:
        """All of them, the last opened first."""
        found = self.expectations.incidents.page(IncidentFilter(), None, 500)
        yield from found.items
        while found.next is not None:
            found = self.expectations.incidents.page(IncidentFilter(), found.next, 500)
            yield from found.items


def _requests(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines of a signal put together into requests of some size."""
    waiting: dict[Signal, list[bytes]] = {}
    sizes: Counter[Signal] = Counter()
    for signal, line in lines:
        waiting.setdefault(signal, []).append(line)
        sizes[signal] += len(line)
        if sizes[signal] > REQUEST_BYTES:
            del sizes[signal]
            yield signal, events.joined(waiting.pop(signal))
    for signal, some in waiting.items():
        yield signal, events.joined(some)
