"""When nothing is expected, and when we did not watch: pauses, maintenance windows, our own downtimes and heartbeat."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from rota_collector.domain.expect import Downtime, Quiet
from rota_collector.store import audit
from rota_collector.store.dialect import upsert
from rota_collector.store.expectations_schema import downtimes, heartbeat, quiet_times, watches

_KEPT_NS = 8 * 86_400 * 10**9  # how long what is over still explains slots

_recent = select(quiet_times).where(quiet_times.c.until_ns.is_(None) | (quiet_times.c.until_ns > bindparam("since")))
_end = (
    update(quiet_times)
    .where(
        quiet_times.c.id == bindparam("identity"), quiet_times.c.until_ns.is_(None) | (quiet_times.c.until_ns > bindparam("at"))
    )
    .values(until_ns=bindparam("at"))
)
_downtimes = select(downtimes).where(downtimes.c.settled_ns > bindparam("since")).order_by(downtimes.c.until_ns)
_settle = update(downtimes).where(downtimes.c.id == bindparam("identity")).values(settled_ns=bindparam("at"))
_beat = upsert(heartbeat)
_last_beat = select(heartbeat.c.at_ns)
_look_again = update(watches).where(watches.c.workflow == bindparam("name")).values(next_ns=0)


class QuietTime(NamedTuple):
    """A pause or a maintenance window; ``workflow`` and ``host`` are shell patterns. Times are Unix ns."""

    id: str
    kind: str  # pause, maintenance
    workflow: str
    host: str
    from_ns: int
    until_ns: int | None
    reason: str
    by: str

    def matches(self, workflow: str, host: str) -> bool:
        """Whether it is about this instance. A pattern for hosts does not touch instances that span them."""
        mine = workflow == self.workflow if self.kind == "pause" else fnmatchcase(workflow, self.workflow)
        return mine and (self.host == "*" or fnmatchcase(host, self.host))

    @property
    def quiet(self) -> Quiet:
        """As decisions take it."""
        return Quiet(self.from_ns, self.until_ns, self.reason or ("paused" if self.kind == "pause" else "maintenance"))


class QuietTimes:
    """The quiet times in the control database ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)

    def current(self, now_ns: int) -> list[QuietTime]:
        """Those that are on or to come."""
        with self._engine.begin() as connection:
            return recent(connection, now_ns, 0)

    def pause(self, workflow: str, *, until_ns: int | None, by: str, reason: str, now_ns: int) -> QuietTime:
        """Expect nothing of a workflow until then (None: until it is resumed). A pause that is on is replaced."""
        pause = QuietTime(str(uuid.uuid4()), "pause", workflow, "*", now_ns, until_ns, reason, by)
        with self._writer.begin() as connection:
            on = _stop(connection, workflow, now_ns)
            connection.execute(insert(quiet_times), pause._asdict())
            audit.add(connection, now_ns, by, "workflow.pause", workflow, before=_told(on), after=_told([pause]))
        return pause

    def resume(self, workflow: str, now_ns: int, by: str = "") -> bool:
        """Expect again. False: it was not paused."""
        with self._writer.begin() as connection:
            on = _stop(connection, workflow, now_ns)
            connection.execute(_look_again, {"name": workflow})
            if on:
                audit.add(connection, now_ns, by, "workflow.resume", workflow, before=_told(on))
        return bool(on)

    def add_maintenance(
        self, *, workflow: str, host: str, from_ns: int, until_ns: int, reason: str, by: str, now_ns: int | None = None
    ) -> QuietTime:  # fmt: skip
        """Expect nothing of what matches, from then until then; said at ``now_ns``, else when it begins."""
        window = QuietTime(str(uuid.uuid4()), "maintenance", workflow, host, from_ns, until_ns, reason, by)
        with self._writer.begin() as connection:
            connection.execute(insert(quiet_times), window._asdict())
            at_ns = from_ns if now_ns is None else now_ns
            audit.add(connection, at_ns, by, "maintenance.add", window.id, after=_told([window]))
        return window

    def end(self, identity: str, now_ns: int, by: str = "") -> bool:
        """End a quiet time now; what it covered stays explained. False: there is none that is on or to come."""
        with self._writer.begin() as connection:
            on = [each for each in recent(connection, now_ns, 0) if each.id == identity]
            if on:
                connection.execute(_end, {"identity": identity, "at": now_ns})
                audit.add(connection, now_ns, by, "maintenance.end", identity, before=_told(on), after={"until_ns": now_ns})
        return bool(on)


def _told(times: Iterable[QuietTime]) -> list[dict[str, object]] | None:
    """What the record of changes says of these."""
    return [{name: value for name, value in each._asdict().items() if value is not None} for each in times] or None


def _stop(connection: Connection, workflow: str, now_ns: int) -> list[QuietTime]:
    on = [each for each in recent(connection, now_ns, 0) if each.kind == "pause" and each.workflow == workflow]
    for each in on:
        connection.execute(_end, {"identity": each.id, "at": now_ns})
    return on


def recent(connection: Connection, now_ns: int, kept_ns: int = _KEPT_NS) -> list[QuietTime]:
    """The quiet times that are not long over."""
    return [QuietTime._make(row) for row in connection.execute(_recent, {"since": now_ns - kept_ns})]


def of_instance(times: Iterable[QuietTime], workflow: str, host: str) -> list[Quiet]:
    """Those of ``times`` that are about an instance."""
    return [each.quiet for each in times if each.matches(workflow, host)]


def recent_downtimes(connection: Connection, now_ns: int) -> list[Downtime]:
    """The downtimes that may still explain something, ours and those of observers."""
    rows = connection.execute(_downtimes, {"since": now_ns - _KEPT_NS})
    return [Downtime._make(row)._replace(on_host=row.on_host or "") for row in rows]


def add_downtime(connection: Connection, from_ns: int, until_ns: int, settled_ns: int) -> Downtime:
    """Keep that nobody watched from then until then."""
    down = Downtime(str(uuid.uuid5(uuid.NAMESPACE_URL, f"rota:downtime/{from_ns}/{until_ns}")), from_ns, until_ns, settled_ns)
    keep_downtime(connection, down)
    return down


def keep_downtime(connection: Connection, down: Downtime) -> None:
    """Keep that nobody watched then."""
    connection.execute(upsert(downtimes), down._asdict())


def settle_later(connection: Connection, down: Downtime, settled_ns: int) -> None:
    """News of a downtime still come in: wait longer before what is missing counts as missed."""
    connection.execute(_settle, {"identity": down.id, "at": settled_ns})


def last_beat(connection: Connection) -> int | None:
    """When we were last seen watching, Unix ns; None: never."""
    found: int | None = connection.execute(_last_beat).scalar()
    return found


def beat(connection: Connection, now_ns: int) -> None:
    """We watch."""
    connection.execute(_beat, {"name": "monitor", "at_ns": now_ns})
