"""``python -m rota_collector.store.compact SOURCE TARGET``: a telemetry database written anew, without what it has forgotten.

DuckDB uses the place of deleted rows again, but gives none of it back. Rows are written in stretches of time, each sorted by
trace: what is old lies together, and goes together.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import duckdb

from rota_collector.store import database, migrations
from rota_collector.store.batch import LOGS, SPANS, TABLES, Table
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")
_STRETCH = 1_000_000  # rows that are sorted at once


def main(source: str, target: str) -> None:
    """``target`` appears whole. Raises duckdb.Error, or OSError, when it cannot be written."""
    os.nice(19)
    beside = Path(target + ".new")
    database.remove(beside)
    with database.making(beside, {**database.STORAGE, "threads": 1, "memory_limit": "512MB"}) as connection:
        connection.execute(_SQL["schema"])
        connection.execute(f"ATTACH '{source.replace(chr(39), 2 * chr(39))}' AS source (READ_ONLY)")
        connection.execute(_SQL["note_version"].format(version=migrations.newest("telemetry")))
        for name in ("progress", "requests"):
            connection.execute(_SQL["copy_table"].format(table=name))
        for table in TABLES:
            _copy(connection, table)
    beside.rename(target)


def _copy(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    order = "trace_id" if table in (LOGS, SPANS) else "workflow"  # see batch.together
    words = {"table": table.name, "time": table.time, "order": order}
    count = connection.execute(_SQL["count_source"].format(**words)).fetchall()[0][0]
    shares = [share * _STRETCH / count for share in range(1, count // _STRETCH)]
    times = connection.execute(_SQL["time_shares"].format(**words), [shares]).fetchall()[0][0] if shares else []
    bounds = sorted(set(times))
    for first, last in zip([None, *bounds], [*bounds, None], strict=True):
        connection.execute(_SQL["copy_stretch"].format(**words), {"first": first, "last": last})


if __name__ == "__main__":
    main(*sys.argv[1:])
