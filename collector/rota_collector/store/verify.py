"""``python -m rota_collector.store.verify FILE``: read every row of a telemetry database; print what is in it as JSON.

DuckDB checks each block against its checksum as it reads it, so a file of which every value could be read is whole.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import duckdb

from rota_collector import priority
from rota_collector.store.batch import TABLES
from rota_collector.store.sql import queries

_SQL = queries("telemetry.sql")


def main(path: str) -> None:
    """Raises duckdb.Error when something of it cannot be read."""
    priority.least()
    sys.stdout.write(json.dumps(found(path)))


def found(path: str | Path) -> dict[str, Any]:
    """``offset``: up to where it has the journal; ``rows`` of each table. Raises duckdb.Error."""
    with duckdb.connect(path, read_only=True, config={"threads": 1, "memory_limit": "160MB"}) as connection:
        rows = {table.name: connection.execute(_SQL["read_all"].format(table=table.name)).fetchall()[0][0] for table in TABLES}
        return {"offset": connection.execute(_SQL["offset"]).fetchall()[0][0], "rows": rows}


if __name__ == "__main__":
    main(sys.argv[1])
