"""A monitor on real stores, with a clock that is set by hand and a journal in memory: what a test does to it, it sees at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.decode.to_rows import Beside, Heartbeat, Look, ToldSchedule
from rota_collector.domain.incident import Incident
from rota_collector.domain.slots import Slot
from rota_collector.journal import Record, Signal
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.incidents import IncidentFilter
from rota_collector.store.slots import SlotFilter
from rota_collector.watch.monitor import Monitor
from rota_collector.watch.tick import Tools

S = 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
T0 = 1_700_000_000 * S // DAY * DAY  # a midnight


class Journal:
    """What was appended, in memory."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.records = clock, list[Record]()

    @property
    def durable_end(self) -> int:
        return len(self.records)

    def append_blocking(self, signal: Signal, payload: bytes | bytearray) -> int:
        self.records.append(Record(len(self.records), len(self.records) + 1, signal, self.clock.now_ns(), bytes(payload)))
        return len(self.records)


class Watched:
    """One collector's watching, without its threads and sockets. ``restart`` is what a kill leaves."""

    def __init__(self, path: Path, now_ns: int = T0, settle_seconds: float = 120) -> None:
        self.path, self.settle_ns = path, round(settle_seconds * S)
        self.clock = ManualClock(now_ns)
        self.journal = Journal(self.clock)
        self.events = 0
        self.signs: dict[str, int] = {}
        self.restart()

    def restart(self) -> None:
        """Open everything anew."""
        self.control = Control(self.path / "control.sqlite")
        self.expectations = Expectations(self.control.engine, self.clock)
        self.control.observer = self.expectations
        self.alerts = Alerts(self.control.engine)
        tools = Tools(self.expectations, self.alerts, lambda run_id: self.signs.get(run_id, 0), "http://127.0.0.1:8501")
        self.monitor = Monitor(tools, self.journal, self.control.offset, self.clock, self.settle_ns)

    def channel(self, name: str = "ops") -> None:
        """Somebody wants to be told."""
        self.alerts.add_channel(name, "https://hooks.example.com/x", now_ns=self.clock.now_ns())

    def policy(self, workflow: str, **document: Any) -> None:
        """Store a policy."""
        self.expectations.policies.put({workflow: document}, author="test", reason=None, now_ns=self.clock.now_ns())

    def event(self, run_id: str, state: str, at_ns: int, workflow: str = "etl", **more: Any) -> RunEvent:
        """A run event that is not applied yet."""
        self.events += 1
        declared = more.pop("declared", None)
        given = Declared(**declared) if declared else None
        return RunEvent(f"e{self.events}", run_id, workflow, state, at_ns, declared=given, **more)

    def apply(self, *events: RunEvent) -> None:
        """Events reach the control store."""
        self.control.apply(events, self.control.offset())

    def run(
        self, run_id: str, started_ns: int, state: str = "succeeded", workflow: str = "etl", took_ns: int = S, **more: Any
    ) -> None:
        """A whole run: it starts, and ends as told (``running``: it does not)."""
        begin = self.event(run_id, "running", started_ns, workflow, **more)
        more.pop("declared", None)
        end = self.event(run_id, state, started_ns + took_ns, workflow, started_ns=started_ns, **more)
        self.apply(*([begin] if state == "running" else [begin, end]))

    def beat(self, host: str, is_last: bool = False) -> None:
        """The agent of a host is heard now."""
        self.control.apply([], self.control.offset(), Beside([Heartbeat(host, self.clock.now_ns(), is_last)]))

    def look(
        self, at_ns: int | None = None, *, source: str = "prefect", place: str = "", on_host: str = "", problem: str | None = None
    ) -> None:
        """An observer says that it told all up to then (now, when left out); with a problem, that it could not look."""
        now_ns = self.clock.now_ns()
        look = Look(source, place, on_host, "watcher", now_ns if at_ns is None else at_ns, now_ns, 10 * S, problem)
        self.control.apply([], self.control.offset(), Beside(looks=[look]))

    def scheduled(
        self, spec: str | None, at_ns: int, workflow: str = "etl", host: str | None = None, source: str = "airflow"
    ) -> None:
        """Another system says so; None: that it is not, any more. With a host: of one that is another on each."""
        told = ToldSchedule(workflow, Declared(spec, named_by="script" if host else None), at_ns, source, host)
        self.control.apply([], self.control.offset(), Beside(schedules=[told]))

    def at(self, now_ns: int) -> None:
        """The monitor ticks at that time, and what it brought into the journal is applied."""
        self.clock.set_ns(now_ns)
        for _ in range(3):  # its own conclusions come back as events
            self.monitor.tick()
            offset = self.control.offset()
            if offset == self.journal.durable_end:
                break
            records = self.journal.records[offset:]
            self.control.apply(to_rows.run_events(records), self.journal.durable_end, to_rows.beside(records, ()))

    def pass_until(self, now_ns: int) -> None:
        """The monitor ticks, often enough for it to know that it was never away, until then."""
        while self.clock.now_ns() < now_ns:
            self.at(min(now_ns, self.clock.now_ns() + 15 * S))

    def slots(self, workflow: str = "etl") -> list[Slot]:
        """The workflow's slots in order of time."""
        return [row.slot for row in reversed(self.expectations.slots.page(SlotFilter(workflow), None, 1000).items)]

    def verdicts(self, workflow: str = "etl") -> list[str | None]:
        """Their verdicts."""
        return [slot.verdict for slot in self.slots(workflow)]

    def incidents(self, state: str | None = "open", workflow: str | None = None) -> list[Incident]:
        """Incidents, the oldest first."""
        return self.expectations.incidents.page(IncidentFilter(state, workflow), None, 1000).items[::-1]

    def told(self) -> list[str]:
        """The titles of the messages in the outbox, in order."""
        with self.control.engine.begin() as connection:
            rows = connection.exec_driver_sql("SELECT title FROM outbox ORDER BY created_ns, id").all()
        return [row[0] for row in rows]
