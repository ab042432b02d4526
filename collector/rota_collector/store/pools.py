"""Pools whose limit somebody set: it counts instead of what the policies say."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, delete, select

from rota_collector.store import audit
from rota_collector.store.admission_schema import metadata, pools
from rota_collector.store.dialect import upsert


class Pools:
    """The pools in the control database ``engine``."""

    def __init__(self, engine: Engine) -> None:
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            metadata.create_all(connection)

    def set(self, name: str, limit: int | None, *, by: str, now_ns: int) -> None:
        """Let a pool have so much from now on; None: what the policies say."""
        with self._writer.begin() as connection:
            before = _most(connection, name)
            connection.execute(delete(pools).where(pools.c.name == name))
            if limit is not None:
                connection.execute(upsert(pools), {"name": name, "most": limit, "by": by, "set_ns": now_ns})
            audit.add(connection, now_ns, by, "pool.set", name, before={"limit": before}, after={"limit": limit})


def _most(connection: Connection, name: str) -> int | None:
    found: int | None = connection.execute(select(pools.c.most).where(pools.c.name == name)).scalar()
    return found
