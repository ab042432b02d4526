"""DBOS's system database, read only."""

from __future__ import annotations

import argparse
from typing import Any, Iterable, Iterator, Mapping
from urllib.parse import quote

from rota_integrations.needs import needed

needed("dbos", "sqlalchemy", "2.0", "SQLAlchemy")

import sqlalchemy  # noqa: E402
from sqlalchemy.engine import URL, Connection, make_url  # noqa: E402
from sqlalchemy.exc import DBAPIError  # noqa: E402
from sqlalchemy.pool import NullPool  # noqa: E402

_MANY = 200  # ids in a question
_RUNS = """
    SELECT s.workflow_uuid, s.status, s.name, s.class_name, s.queue_name, s.executor_id, s.application_version, s.created_at,
           s.updated_at, s.started_at_epoch_ms, s.completed_at, s.workflow_deadline_epoch_ms, s.recovery_attempts,
           s.parent_workflow_id, s.forked_from, s.schedule_name, s.serialization, COALESCE(o.error, s.error) AS error
    FROM {p}workflow_status s LEFT JOIN {p}workflow_output o ON o.workflow_uuid = s.workflow_uuid
    WHERE """
_OPEN = ("s.status IN ('ENQUEUED', 'PENDING')", "s.status = 'DELAYED'")  # as DBOS's own partial indexes have it
_STEPS = """
    SELECT workflow_uuid, function_id, function_name, error, child_workflow_id, started_at_epoch_ms, completed_at_epoch_ms,
           serialization
    FROM {p}operation_outputs
    WHERE workflow_uuid IN :ids AND (completed_at_epoch_ms IS NULL OR completed_at_epoch_ms >= :since) ORDER BY function_id"""
_SCHEDULES = "SELECT workflow_name, schedule, cron_timezone FROM {p}workflow_schedules WHERE status = 'ACTIVE'"
_TABLES = {
    "workflow_status": {"completed_at", "schedule_name", "parent_workflow_id", "recovery_attempts"},
    "workflow_output": {"error"},
    "operation_outputs": {"completed_at_epoch_ms", "serialization"},
    "workflow_schedules": {"cron_timezone"},
}


def address(text: str) -> URL:
    """A URL of SQLAlchemy's, as DBOS takes it: ``sqlite:///dbos.sqlite``, ``postgresql://…``.

    Raises:
        ArgumentTypeError: it is none, or of another kind of database. The text, which may have a password, is not shown.
    """
    try:
        found = make_url(text)
    except sqlalchemy.exc.ArgumentError as error:
        raise argparse.ArgumentTypeError("this is no URL. Example: sqlite:///dbos.sqlite") from error
    if found.get_backend_name() not in ("sqlite", "postgresql"):
        raise argparse.ArgumentTypeError("DBOS has no %s: it is sqlite or postgresql" % found.get_backend_name())
    return found


class Database:
    """One system database. Each look is a connection of its own, which holds no transaction open.

    Args:
        address: where it is.
        schema: of DBOS's tables on PostgreSQL.
    """

    def __init__(self, address: URL, schema: str = "dbos") -> None:
        self.where = address.render_as_string(hide_password=True)
        is_file = address.get_backend_name() == "sqlite"
        self._schema = None if is_file else schema
        self._prefix = "" if is_file else '"%s".' % schema.replace('"', '""')
        self._engine = _of_file(address) if is_file else _of_server(address)

    def __enter__(self) -> Database:
        try:
            self._connection: Connection = self._engine.connect()
        except DBAPIError as error:
            raise ConnectionError("%s: %s" % (self.where, error.orig)) from error
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def check(self) -> None:
        """Raise RuntimeError where DBOS's tables are not what they are in the versions that were tested."""
        found = sqlalchemy.inspect(self._connection)
        for table, columns in _TABLES.items():
            there = {each["name"] for each in found.get_columns(table, self._schema)} if self._has(found, table) else set()
            if columns - there:
                missing = "%s (%s)" % (table, ", ".join(sorted(columns - there)))
                raise RuntimeError("%s has no %s: it is of a DBOS older than 3.0, or of none" % (self.where, missing))

    def runs(self, since_ms: int) -> Iterator[Mapping[str, Any]]:
        """Workflows that are open, or ended since (Unix time)."""
        for where in _OPEN:
            yield from self._rows(_RUNS + where)
        yield from self._rows(_RUNS + "s.completed_at >= :since", since=since_ms)

    def runs_of(self, ids: Iterable[str]) -> Iterator[Mapping[str, Any]]:
        """Those of these ids, however they are."""
        for some in _parts(ids):
            yield from self._rows(_RUNS + "s.workflow_uuid IN :ids", ids=some)

    def steps(self, ids: Iterable[str], since_ms: int) -> Iterator[Mapping[str, Any]]:
        """Steps of these workflows that ended since (Unix time)."""
        for some in _parts(ids):
            yield from self._rows(_STEPS, ids=some, since=since_ms)

    def schedules(self) -> list[Mapping[str, Any]]:
        """Those that are active."""
        return self._rows(_SCHEDULES)

    def _has(self, found: Any, table: str) -> bool:
        return bool(found.has_table(table, self._schema))

    def _rows(self, text: str, **values: Any) -> list[Mapping[str, Any]]:
        query = sqlalchemy.text(text.replace("{p}", self._prefix))
        if "ids" in values:
            query = query.bindparams(sqlalchemy.bindparam("ids", expanding=True))
        try:
            return [dict(row) for row in self._connection.execute(query, values).mappings()]
        except DBAPIError as error:
            raise ConnectionError("%s: %s" % (self.where, error.orig)) from error


def _of_file(address: URL) -> sqlalchemy.Engine:
    """A name that is wrong must not make a file."""
    path = "file:" + quote(address.database or "")
    return sqlalchemy.create_engine(
        address.set(database=path, query={"mode": "ro", "uri": "true"}), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )


def _of_server(address: URL) -> sqlalchemy.Engine:
    options = "-c default_transaction_read_only=on -c statement_timeout=30000"
    return sqlalchemy.create_engine(
        address.set(drivername="postgresql+psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT",
        connect_args={"options": options, "connect_timeout": 10, "application_name": "rota"},
    )  # fmt: skip


def _parts(ids: Iterable[str]) -> Iterator[list[str]]:
    each = sorted(ids)
    for first in range(0, len(each), _MANY):
        yield each[first : first + _MANY]
