"""What is expected, kept together: policies, watched instances, slots, incidents, quiet times. One database, one lock.

``note`` runs in the transaction that changes runs (whatever it marks is judged, even when the process dies in between);
``transaction`` is for whoever judges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, delete, select

from rota.rules.fold import Run, RunEvent
from rota_collector.clock import Clock
from rota_collector.decode.to_rows import Beside, Heartbeat
from rota_collector.domain import terms
from rota_collector.domain.expect import BAD, Downtime
from rota_collector.store import agents, cancels, inflight, observers, quiet, watches
from rota_collector.store import events as own
from rota_collector.store.cancels import Cancels
from rota_collector.store.control_queries import listed_ns
from rota_collector.store.dialect import add_missing_columns
from rota_collector.store.expectations_schema import downtimes, metadata, outgoing, policies, policy_versions
from rota_collector.store.expectations_schema import watches as watches_table
from rota_collector.store.incidents import Incidents
from rota_collector.store.policies import Policies, anchor_ns
from rota_collector.store.quiet import QuietTimes
from rota_collector.store.slots import Slots
from rota_collector.store.watches import Instance

LATE_NEWS_NS = 30 * 10**9  # after the last news of a downtime, so long until what is missing counts as missed
LONGEST_SETTLING_NS = 3600 * 10**9

_queued = select(outgoing.c.id, outgoing.c.records).order_by(outgoing.c.id).limit(bindparam("limit"))
_unqueue = delete(outgoing).where(outgoing.c.id <= bindparam("last"))


class Noted(NamedTuple):
    """What a transaction changed that is remembered outside the database, once it is through."""

    policies: list[dict[str, Any]]
    instances: list[Instance]
    is_due: bool  # whether there is something to judge
    ended: frozenset[str] = frozenset()  # workflows of which runs ended
    cancel: int = 0  # number of the last cancel that a rule made


class Expectations:
    """The expectations in the control database ``engine``. ``retry_budget``: of retries whose policy names none."""

    def __init__(self, engine: Engine, clock: Clock, retry_budget: dict[str, Any] | None = None) -> None:
        self._engine, self._clock = engine, clock
        self.changed: Callable[[], None] = lambda: None  # called when there is something to judge
        self.ended: Callable[[frozenset[str]], None] = lambda _: None  # called with the workflows of runs that ended
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            metadata.create_all(connection)
            for table in (policies, policy_versions, downtimes):
                add_missing_columns(connection, table)
        self.policies = Policies(engine, retry_budget)
        self.incidents = Incidents(engine)
        self.slots = Slots(engine)
        self.quiet = QuietTimes(engine)
        self.cancels = Cancels(engine)
        self.reload()

    def reload(self) -> None:
        """Read what is remembered outside the database anew."""
        self.policies.reload()
        with self._engine.begin() as connection:
            self._known: set[Instance] = {
                (row[0], row[1]) for row in connection.execute(select(watches_table.c.workflow, watches_table.c.host))
            }
            now_ns = self._clock.now_ns()
            known = quiet.recent_downtimes(connection, now_ns)
            self._unsettled = [down for down in known if down.source is None and down.settled_ns > now_ns]

    def transaction(self) -> AbstractContextManager[Connection]:
        """A transaction that writes."""
        return self._writer.begin()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that reads."""
        return self._engine.begin()

    # -- while runs change --------------------------------------------------------------------------------------------

    def note(self, connection: Connection, events: Sequence[RunEvent], changed: Sequence[Run], beside: Beside) -> Noted:
        """Mark what must be judged anew because these runs changed, keep what their code or their system declares and that
        agents and observers were there, and have rules act.
        """
        now_ns = self._clock.now_ns()
        acted = inflight.note(connection, self.policies.asking, beside.ends, changed, now_ns)
        declared = self.policies.note(connection, events, beside.schedules, now_ns)
        documents = {row["workflow"]: row["document"] for row in declared}
        marks: dict[Instance, tuple[int, str]] = {}
        begun: dict[Instance, tuple[int, str]] = {}
        succeeded: set[str] = set()
        ended: set[str] = set()
        for run in [*changed, *acted.alerted]:
            instance, document = self._instance(run, documents)
            started_ns = listed_ns(run)
            if instance in self._known or instance in marks:
                earliest = min(started_ns, marks.get(instance, (started_ns, ""))[0])
                marks[instance] = (earliest, run.host or "")
            elif document is not None or run.state in BAD:
                begun[instance] = (anchor_ns(document or "{}", started_ns), run.host or "")
                marks[instance] = (started_ns, run.host or "")
            if run.state == "succeeded":
                succeeded |= self.policies.dependents.get(run.workflow, set())
            if run.ended_ns is not None:
                ended.add(run.workflow)
        if self.cancels.number and ended:
            cancels.settle(connection, {run.run_id for run in changed if run.ended_ns is not None}, now_ns)
        watches.begin_watching(connection, [(*instance, *how) for instance, how in begun.items()], now_ns)
        watches.mark(connection, marks)
        watches.mark_workflows(connection, sorted(succeeded))
        watches.hear(connection, events)
        self._hear(connection, beside.heartbeats)
        observers.note(connection, beside.looks, changed, beside.schedules)
        self._wait_for_late_news(connection, events, now_ns)
        is_due = bool(marks or succeeded or declared or acted.cancel)
        return Noted(declared, list(begun), is_due, frozenset(ended), acted.cancel)

    def _hear(self, connection: Connection, beats: Sequence[Heartbeat]) -> None:
        """Keep that agents were there: a sign of life of their hosts too."""
        if beats:
            agents.note(connection, beats)
            watches.hear_of(connection, {beat.host: beat.at_ns for beat in beats})

    def _instance(self, run: Run, documents: dict[str, str]) -> tuple[Instance, str | None]:
        """The instance that a run is of, and the policy in force, if there is one."""
        known = self.policies.known.get(run.workflow)
        document = documents.get(run.workflow) or (known.document if known else None)
        is_per_host = document is not None and terms.of_text(document).is_per_host
        has_terms = document is not None and document not in ("{}", '{"per":"host"}')
        return (run.workflow, run.host or "" if is_per_host else ""), document if has_terms else None

    def _wait_for_late_news(self, connection: Connection, events: Sequence[RunEvent], now_ns: int) -> None:
        news = [event.at_ns for event in events if event.source != own.SOURCE]
        if not self._unsettled or not news:
            return
        earliest = min(news)
        for i, down in enumerate(self._unsettled):
            later = min(now_ns + LATE_NEWS_NS, down.until_ns + LONGEST_SETTLING_NS)
            if earliest < down.until_ns and later > down.settled_ns > now_ns:
                quiet.settle_later(connection, down, later)
                self._unsettled[i] = down._replace(settled_ns=later)

    def learn(self, noted: Noted) -> None:
        """Remember what ``note`` kept, now that its transaction is through."""
        self.policies.learn(noted.policies)
        self._known.update(noted.instances)
        self._known.update((row["workflow"], "") for row in noted.policies)
        self.cancels.told(noted.cancel)
        if noted.is_due:
            self.changed()
        if noted.ended:
            self.ended(noted.ended)

    # -- while nobody watched -----------------------------------------------------------------------------------------

    def was_down(self, connection: Connection, from_ns: int, until_ns: int, settled_ns: int) -> Downtime:
        """Keep a downtime of ours; what was due in it is unknown until ``settled_ns``."""
        down = quiet.add_downtime(connection, from_ns, until_ns, settled_ns)
        self._unsettled = [*(each for each in self._unsettled if each.settled_ns > until_ns), down]
        return down

    # -- what the journal does not have yet ---------------------------------------------------------------------------

    def queued(self, limit: int) -> tuple[int, list[str]]:
        """(the last row's number, the log records of the oldest rows that are queued)."""
        with self._engine.begin() as connection:
            rows = connection.execute(_queued, {"limit": limit}).all()
        return (rows[-1].id if rows else 0), [row.records for row in rows]

    def unqueue(self, last: int) -> None:
        """The records up to this number are in the journal."""
        with self._writer.begin() as connection:
            connection.execute(_unqueue, {"last": last})
