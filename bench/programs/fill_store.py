"""Multiplies the spans of a stopped collector: ``fill_store.py FILE ROWS`` copies them, each copy under a trace id of its own
and earlier by hours of its own: a store that grew has the spans of one moment in one place, and that is what is looked through
for those that come again.

Prints how many spans the store then holds: fewer than asked for when the disk is slow.
"""

from __future__ import annotations

import sys
import time

import duckdb

AT_ONCE = 1 << 20  # large inserts make full row groups, as those of a store that grew are after a while
ENOUGH_SECONDS = 100

store = duckdb.connect(sys.argv[1])
wanted = int(sys.argv[2])


def count() -> int:
    """The spans there are."""
    return int(store.execute("SELECT count(*) FROM spans").fetchall()[0][0])


there, began = count(), time.monotonic()
while there < wanted and time.monotonic() - began < ENOUGH_SECONDS:
    rows = min(wanted - there, AT_ONCE)
    earlier = f"started_at - INTERVAL {there // AT_ONCE + 1} HOUR"
    store.execute(f"INSERT INTO spans SELECT * REPLACE (uuid() AS trace_id, {earlier} AS started_at) FROM spans LIMIT {rows}")
    there = count()
print(there)
