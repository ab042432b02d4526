"""The home of a collector with years of runs: ``fill_home.py HOME RUNS WORKFLOWS SPANS``.

Prints ``{"run": the id of one with 50,000 spans}``.

Rows are written past the collector, with what is derived from them (rollups, counts, slots ahead) by its own code.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from rota_collector import home as home_dir
from rota_collector.clock import SystemClock
from rota_collector.store import rollups
from rota_collector.store.control import Control
from rota_collector.store.control_schema import runs
from rota_collector.store.expectations import Expectations
from rota_collector.store.telemetry import Telemetry

S, DAYS, LARGE = 10**9, 90, 50_000
DAY_NS = 86_400 * S
AT_ONCE = 20_000
HOSTS, TEAMS = 20, 40


def name_of(i: int) -> str:
    """A workflow."""
    return f"team{i % TEAMS:02}.job{i:04}"


def rows(count: int, workflows: int, now_ns: int) -> Iterator[tuple[Any, ...]]:
    """Runs evenly over the days, one in a hundred failed."""
    chance = random.Random(1)
    columns = [column.name for column in runs.c]
    for i in range(count):
        at = now_ns - DAYS * DAY_NS + i * DAYS * DAY_NS // count
        identity = str(uuid.UUID(int=(at // 10**6) << 80 | 7 << 76 | 2 << 62 | i))
        bad = chance.random() < 0.01
        end = at + int(chance.lognormvariate(3, 0.2) * S)
        key = f"000001.30.{end:020}.{identity}"
        values = {
            "run_id": identity, "workflow": name_of(i % workflows), "listed_ns": at, "started_ns": at, "ended_ns": end,
            "state": "failed" if bad else "succeeded", "attempt": 1, "source": "sdk", "exit_code": int(bad),
            "host": f"etl-{i % HOSTS}", "trace_id": identity.replace("-", ""), "span_id": f"{i:016x}", "tags": "[]",
            "state_key": key, "error_key": key if bad else "", "first_key": f"{at:020}.{identity}",
            "error_type": "psycopg.OperationalError" if bad else None, "error_message": "connection refused" if bad else None,
        }  # fmt: skip
        yield tuple(values.get(column) for column in columns)


def fill_runs(control: Control, count: int, workflows: int, now_ns: int) -> str:
    """Write them; the id of the last run of the first workflow."""
    connection = control.engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=OFF")
    cursor.execute("BEGIN")
    insert = f"INSERT INTO runs ({', '.join(column.name for column in runs.c)}) VALUES ({', '.join('?' * len(runs.c))})"
    made = rows(count, workflows, now_ns)
    while some := [row for _, row in zip(range(AT_ONCE), made, strict=False)]:
        cursor.executemany(insert, some)
    cursor.execute(
        f"INSERT INTO workflow_days SELECT workflow, listed_ns / {DAY_NS}, sum(state = 'succeeded'), sum(state = 'failed'), 0"
        " FROM runs GROUP BY 1, 2"
    )
    cursor.execute("COMMIT")
    cursor.execute("PRAGMA synchronous=FULL")
    (found,) = cursor.execute(
        "SELECT run_id FROM runs WHERE workflow = ? ORDER BY listed_ns DESC LIMIT 1", [name_of(0)]
    ).fetchone()
    connection.close()
    return str(found)


def fill_spans(path: Path, run_id: str, count: int) -> None:
    """One run with many spans, and ``count`` others in runs of 200."""
    Telemetry.open(path).close()
    with duckdb.connect(path) as connection:
        connection.execute(_LARGE_RUN, [run_id, name_of(0)])
        for first in range(0, count, 1 << 20):
            connection.execute(_OTHER_RUNS, [DAYS * DAY_NS // max(count, 1), first, min(count, first + (1 << 20))])


_SHAPE = """1 AS kind, 'etl' AS service, 'etl-0' AS host, NULL AS status_message, NULL AS events, NULL AS links, 0 AS dropped,
    NULL AS trace_state, 1 AS flags, 'rota' AS "scope", '0.1' AS scope_version, '{}' AS scope_attributes,
    '{"service.name":"etl"}' AS resource"""
_LARGE_RUN = f"""INSERT INTO spans BY NAME SELECT
    uuid() AS trace_id, (range + 1) :: UBIGINT AS span_id,
    CASE WHEN range = 0 THEN NULL WHEN range < 10 THEN 1 ELSE 2 + range % 9 END :: UBIGINT AS parent_span_id,
    $1 :: UUID AS run_id, $2 AS workflow, 'load_row' || range % 5 AS task, 'load_row' || range % 5 AS name,
    make_timestamp_ns(epoch_ns(now() :: TIMESTAMP) - 3600000000000 + range * 200000) AS started_at,
    15000000 AS duration_ns, CASE WHEN range % 400 = 399 THEN 2 ELSE 0 END AS status,
    '{{"cicd.pipeline.task.name":"load_row","rows":12,"db.system.name":"postgresql"}}' AS attributes, {_SHAPE}
    FROM range({LARGE})"""
_OTHER_RUNS = f"""INSERT INTO spans BY NAME SELECT
    uuid() AS trace_id, hash(range) AS span_id, NULL :: UBIGINT AS parent_span_id,
    ('01a0' || lpad(to_hex(range // 200), 8, '0') || '70008000000000000000') :: UUID AS run_id,
    format('team{{:02}}.job{{:04}}', range // 200 % {TEAMS}, range // 200 % 2000) AS workflow,
    'load_row' AS task, 'load_row' AS name,
    make_timestamp_ns(epoch_ns(now() :: TIMESTAMP) - {DAYS * DAY_NS} + range * $1) AS started_at,
    15000000 + range % 1000000 AS duration_ns, 0 AS status,
    '{{"cicd.pipeline.task.name":"load_row","rows":' || range % 1000 || ',"db.system.name":"postgresql"}}' AS attributes, {_SHAPE}
    FROM range($2, $3)"""


def main(home: Path, count: int, workflows: int, spans: int) -> str:
    """Fill it."""
    now_ns = time.time_ns()
    home_dir.lock(home)
    control = Control(home / "control.sqlite")
    expectations = Expectations(control.engine, SystemClock())
    large = fill_runs(control, count, workflows, now_ns)
    names = [name_of(i) for i in range(workflows)]
    with expectations.transaction() as connection:
        rollups.renew(connection, names)
    for first in range(0, workflows, 500):
        some = {
            name: {"schedule": {"cron": f"{i % 60} {i // 60 % 24} * * *"}}
            for i, name in enumerate(names[first : first + 500], first)
        }
        expectations.policies.put(some, author="bench", reason=None, now_ns=now_ns)
    control.close()
    fill_spans(home / "telemetry.duckdb", large, spans)
    return large


if __name__ == "__main__":
    print(json.dumps({"run": main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))}))
