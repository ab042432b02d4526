"""The ceiling of applying: the same spans, decoded beforehand, inserted as ready Arrow tables into a DuckDB file.

``insert_arrow.py FILE REQUESTS BATCH`` (requests a transaction) prints the seconds that the inserts and their commits took.
"""

from __future__ import annotations

import sys
import time

import duckdb
import payloads

from rota_collector.decode import to_rows
from rota_collector.journal import Record, Signal


def main() -> None:
    """As the module says."""
    path, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    records = [Record(0, 0, Signal.TRACES_PROTO, time.time_ns(), body) for body in payloads.span_bodies(count)]
    tables = [to_rows.spans(records[start : start + batch]) for start in range(0, count, batch)]
    store = duckdb.connect(path)
    store.register("ready", tables[0])
    store.execute("CREATE TABLE spans AS SELECT * FROM ready LIMIT 0")
    began = time.perf_counter()
    for table in tables:
        store.register("ready", table)
        store.execute("INSERT INTO spans SELECT * FROM ready")
    print(time.perf_counter() - began)
    assert store.execute("SELECT count(*) FROM spans").fetchone() == (count * payloads.SPANS,)


main()
