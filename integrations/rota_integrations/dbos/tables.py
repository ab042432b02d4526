"""What DBOS's system tables say, read with as little as its versions have in common; no table is written."""

from __future__ import annotations

from typing import Any, Sequence

_WORKFLOW = (
    "workflow_uuid", "status", "name", "created_at", "updated_at", "started_at_epoch_ms", "completed_at", "executor_id",
    "queue_name", "parent_workflow_id", "error",
)  # fmt: skip
_STEP = ("function_id", "function_name", "error", "child_workflow_id", "started_at_epoch_ms", "completed_at_epoch_ms")
_SCHEDULE = ("schedule_name", "schedule", "cron_timezone")
_AT_ONCE = 500  # of a question


class Tables:
    """The tables of one system database.

    Args:
        url: of SQLAlchemy's kind, as DBOS is given it.
        schema: of PostgreSQL; SQLite has none.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: it cannot be read; so do all methods.
    """

    def __init__(self, url: str, schema: str) -> None:
        import sqlalchemy as sa

        if url.startswith(("postgresql://", "postgres://")):
            url = "postgresql+psycopg://" + url.partition("://")[2]
        self._sa, self._engine = sa, sa.create_engine(url, pool_size=1, max_overflow=0)
        self._schema = None if self._engine.dialect.name == "sqlite" else schema
        self._tables: dict[str, Any] = {}

    def workflows(self, since_ms: int, also: Sequence[str]) -> list[dict[str, Any]]:
        """Those that were made since then, and those with these ids, oldest first."""
        table = self._table("workflow_status")
        columns = table.c
        found = self._read(table, _WORKFLOW, columns.created_at >= since_ms, columns.created_at)
        known = {row["workflow_uuid"] for row in found}
        rest = [identity for identity in also if identity not in known]
        for start in range(0, len(rest), _AT_ONCE):
            wanted = columns.workflow_uuid.in_(rest[start : start + _AT_ONCE])
            found += self._read(table, _WORKFLOW, wanted, columns.created_at)
        return found

    def error_of(self, workflow: dict[str, Any]) -> Any:
        """What it raised, as DBOS keeps it, a text or None: in its row, or, where there is one, in a table beside."""
        if workflow["error"] or not self._has("workflow_output"):
            return workflow["error"]
        table = self._table("workflow_output")
        rows = self._read(table, ("error",), table.c.workflow_uuid == workflow["workflow_uuid"], table.c.workflow_uuid)
        return rows[0]["error"] if rows else None

    def steps(self, workflow_id: str, after: int) -> list[dict[str, Any]]:
        """The steps of a workflow whose number is greater than that, in order."""
        table = self._table("operation_outputs")
        mine = self._sa.and_(table.c.workflow_uuid == workflow_id, table.c.function_id > after)
        return self._read(table, _STEP, mine, table.c.function_id)

    def schedules(self) -> list[dict[str, Any]]:
        """Those that are active; none where the version has no table of them."""
        if not self._has("workflow_schedules"):
            return []
        table = self._table("workflow_schedules")
        return self._read(table, _SCHEDULE, table.c.status == "ACTIVE", table.c.schedule_name)

    def _read(self, table: Any, names: Sequence[str], where: Any, order: Any) -> list[dict[str, Any]]:
        """Rows by name; None for what this version does not have."""
        there = [name for name in names if name in table.c]
        wanted = self._sa.select(*(table.c[name] for name in there)).where(where).order_by(order)
        with self._engine.connect() as connection:
            rows = connection.execute(wanted).all()
        return [{**dict.fromkeys(names), **row._asdict()} for row in rows]

    def _has(self, name: str) -> bool:
        return bool(self._sa.inspect(self._engine).has_table(name, schema=self._schema))

    def _table(self, name: str) -> Any:
        if name not in self._tables:
            described = self._sa.Table(name, self._sa.MetaData(), schema=self._schema, autoload_with=self._engine)
            self._tables[name] = described
        return self._tables[name]
