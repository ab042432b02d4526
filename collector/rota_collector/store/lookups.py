"""What receivers ask of control state, in a process that only reads it: light to import, and never in a writer's way."""

from __future__ import annotations

from sqlalchemy import Engine, select

from rota.rules.fold import Run
from rota_collector.store import control_queries as queries
from rota_collector.store.control_schema import cursor, runs, workflows

_columns = [runs.c[name] for name in Run._fields]


class Lookups:
    """Reads the control database ``engine``. Any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def offset(self) -> int:
        """The journal position (bytes) up to which every event is in this store."""
        with self._engine.begin() as connection:
            return int(connection.execute(select(cursor.c.offset)).scalar_one())

    def knows(self, workflow: str) -> bool:
        """Whether the workflow was ever seen, or has a policy."""
        with self._engine.begin() as connection:
            return connection.execute(select(workflows.c.name).where(workflows.c.name == workflow)).first() is not None

    def run(self, run_id: str) -> Run | None:
        """The run of this id, or None."""
        with self._engine.begin() as connection:
            row = connection.execute(select(*_columns).where(runs.c.run_id == run_id)).first()
        return queries.to_run(row) if row else None

    def running(self, workflow: str, limit: int) -> list[Run]:
        """The runs of a workflow that run, the last started first."""
        filters = queries.RunFilter(workflow=workflow, states=("running",))
        with self._engine.begin() as connection:
            return queries.runs_page(connection, filters, None, limit).items
