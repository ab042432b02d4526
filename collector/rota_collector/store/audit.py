"""The record of changes: who changed what, when, and from what to what. It is written in the transaction of the change, and
only ever grows: the database refuses to change or delete a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, Table, Text, insert, select

from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.dialect import only_grows

_MOST_CHARACTERS = 2000  # of what was there before, and after

metadata = MetaData()
audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("by", Text, nullable=False),  # who says that they are who: a name that the request gave, else the key's
    Column("key", Text),  # the name of the key that it came with; NULL: none was needed
    Column("action", Text, nullable=False),  # what it was done to, a dot, and what: policy.put
    Column("subject", Text, nullable=False),  # a workflow, or the id or name of what else it was done to
    Column("before", Text),  # JSON
    Column("after", Text),  # JSON
    sqlite_autoincrement=True,  # a number is never given twice
)

KEY: ContextVar[str | None] = ContextVar("rota_key", default=None)  # of the request that is being answered


class Change(NamedTuple):
    """One row of the record. ``at_ns`` is Unix ns."""

    number: int
    at_ns: int
    by: str
    key: str | None
    action: str
    subject: str
    before: Any
    after: Any


class ChangeFilter(NamedTuple):
    """Which changes; None: any. Times are Unix ns."""

    subject: str | None = None
    action: str | None = None  # or the part of it before the dot
    since_ns: int | None = None  # inclusive
    until_ns: int | None = None  # exclusive


def prepare(connection: Connection) -> None:
    """Make the table, if it is missing."""
    metadata.create_all(connection)
    only_grows(connection, audit)


def add(
    connection: Connection, at_ns: int, by: str, action: str, subject: str, *, before: object = None, after: object = None
) -> None:
    """Write down a change, in its transaction. ``before`` and ``after``: only what differs, and nothing secret."""
    row = {"at_ns": at_ns, "by": by or KEY.get() or "api", "key": KEY.get(), "action": action, "subject": subject}
    connection.execute(insert(audit), {**row, "before": _text(before), "after": _text(after)})


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of two documents that are not the same in both."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return {name: before[name] for name in names if name in before}, {name: after[name] for name in names if name in after}


class Audit:
    """Reads the record in the control database ``engine``, and notes what has no transaction there. Any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            prepare(connection)

    def note(self, at_ns: int, by: str, action: str, subject: str, *, before: object = None, after: object = None) -> None:
        """Write down a change of something that is kept elsewhere."""
        with self._writer.begin() as connection:
            add(connection, at_ns, by, action, subject, before=before, after=after)

    def page(self, filters: ChangeFilter, page: str | None = None, limit: int = 100) -> Page[Change]:
        """Changes, the last first. Raises BadCursor."""
        query = select(audit)
        if filters.subject is not None:
            query = query.where(audit.c.subject == filters.subject)
        if filters.action is not None:
            query = query.where(
                (audit.c.action == filters.action) | audit.c.action.startswith(filters.action + ".", autoescape=True)
            )
        if filters.since_ns is not None:
            query = query.where(audit.c.at_ns >= filters.since_ns)
        if filters.until_ns is not None:
            query = query.where(audit.c.at_ns < filters.until_ns)
        if page is not None:
            query = query.where(audit.c.number < page_parts(page, int)[0])
        with self._engine.begin() as connection:
            found = [_change(row) for row in connection.execute(query.order_by(audit.c.number.desc()).limit(limit + 1))]
        return page_of(found, limit, lambda change: (change.number,))


def _text(value: object) -> str | None:
    """As JSON; as the beginning of it, where it is long."""
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= _MOST_CHARACTERS else json.dumps(text[: _MOST_CHARACTERS - 1] + "…", ensure_ascii=False)


def _change(row: Any) -> Change:
    found = Change._make(row)
    return found._replace(**{name: _value(getattr(found, name)) for name in ("before", "after")})


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)
