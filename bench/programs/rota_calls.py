"""Times a statement of sqlite3 unseen, one with a span, one that shares its span, and a task; prints ns, as JSON."""

import json
import posix
import sqlite3
import sys
from time import perf_counter_ns

import rota

unseen = sqlite3.connect(":memory:")  # made before the run begins
rota.watch()
seen = sqlite3.connect(":memory:")
IN_FULL = 90  # below the number from which calls share their spans


@rota.task
def empty():
    pass


def nanoseconds(connection, calls):
    execute = connection.execute
    repeat = range(calls)
    began = perf_counter_ns()
    for _ in repeat:
        execute("SELECT a FROM t WHERE a = ?", (1,)).fetchall()
    return (perf_counter_ns() - began) / calls


def spans(calls):
    repeat = range(calls)
    began = perf_counter_ns()
    for _ in repeat:
        empty()
    return (perf_counter_ns() - began) / calls


for connection in (unseen, seen):
    connection.execute("CREATE TABLE t (a)")
    nanoseconds(connection, 200)
taken = {"plain": [], "full": [], "shared": [], "span": []}
for _ in range(int(sys.argv[1])):
    taken["plain"].append(nanoseconds(unseen, IN_FULL))
    with rota.task("full"):
        taken["full"].append(nanoseconds(seen, IN_FULL))
    taken["shared"].append(nanoseconds(seen, IN_FULL))
    taken["span"].append(spans(IN_FULL))
print(json.dumps(taken), flush=True)
posix._exit(0)
