"""``python -m rota_collector.store.compact SOURCE TARGET``: a telemetry database written anew, without what it has forgotten.

DuckDB uses the place of deleted rows again, but gives none of it back. Rows are written in stretches of time, each sorted by
trace: what is old lies together, and goes together.
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

from rota_collector import priority
from rota_collector.errors import StoreError
from rota_collector.store import database, migrations, verify
from rota_collector.store.batch import LOGS, SPANS, TABLES, Table
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")
_STRETCH = 1_000_000  # rows that are sorted at once


def main(source: str, target: str) -> None:
    """``target`` appears whole, and read back. Raises duckdb.Error, OSError, StoreError when it is not."""
    priority.least()
    beside = Path(target + ".new")
    database.remove(beside)
    with database.making(beside, {**database.STORAGE, "threads": 1, "memory_limit": "160MB"}) as connection:
        connection.execute(_SQL["schema"])
        connection.execute(f"ATTACH '{source.replace(chr(39), 2 * chr(39))}' AS source (READ_ONLY)")
        connection.execute(_SQL["note_version"].format(version=migrations.newest("telemetry")))
        for name in ("progress", "requests"):
            connection.execute(_SQL["copy_table"].format(table=name))
        rows = {table.name: _copy(connection, table) for table in TABLES}
    read_back = verify.found(beside)["rows"]
    if read_back != rows:
        raise StoreError(f"cannot write {source} anew: it has {rows}, and of these {read_back} are in {beside}")
    beside.rename(target)


def _copy(connection: duckdb.DuckDBPyConnection, table: Table) -> int:
    """How many rows the source has."""
    order = "trace_id" if table in (LOGS, SPANS) else "workflow"  # see batch.together
    words = {"table": table.name, "time": table.time, "order": order}
    count: int = connection.execute(_SQL["count_source"].format(**words)).fetchall()[0][0]
    shares = [share * _STRETCH / count for share in range(1, count // _STRETCH)]
    times = connection.execute(_SQL["time_shares"].format(**words), [shares]).fetchall()[0][0] if shares else []
    bounds = sorted(set(times))
    for first, last in zip([None, *bounds], [*bounds, None], strict=True):
        connection.execute(_SQL["copy_stretch"].format(**words), {"first": first, "last": last})
    return count


if __name__ == "__main__":
    main(*sys.argv[1:])
