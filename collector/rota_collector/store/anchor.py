"""What ties the times of leases, which are wall times, to the clock that nobody sets."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from rota_collector.store.admission_schema import anchor


def ahead_ns(connection: Connection, boot: str) -> int | None:
    """How far the wall clock was ahead when that was written last; None: it was before the machine was started anew."""
    return connection.execute(select(anchor.c.ahead_ns).where(anchor.c.boot == boot)).scalar()


def keep(connection: Connection, boot: str, ahead_ns: int) -> None:
    """Write it down."""
    connection.execute(delete(anchor))
    connection.execute(insert(anchor).values(boot=boot, ahead_ns=ahead_ns))
