"""A monitor over N different schedules in mixed zones: what a tick costs with 1 % due, with all due, and the memory.

Argument: N. Nothing ran, so whatever is due is missed: each tick judges, opens incidents, and queues events and messages.
All is real but the clock. Prints seconds, and MB of resident memory; ``floor`` is SQLite alone, writing rows as many and as
large as those of the tick with all due.
"""

from __future__ import annotations

import gc
import json
import resource
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from rota_collector.clock import ManualClock
from rota_collector.journal import Journal
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.watch.monitor import Monitor
from rota_collector.watch.tick import Tools

S = 10**9
ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe")
MIDNIGHT = 1_790_000_000 * S // (86_400 * S) * 86_400 * S


def document(i: int) -> dict[str, object]:
    """A daily schedule of its own: every minute of the day, in five zones, with different graces."""
    return {"schedule": {"cron": f"{i % 60} {i // 60 % 24} * * *", "tz": ZONES[i % 5], "grace": f"{300 + i // 7200}s"}}


def main(n: int, directory: Path) -> dict[str, float]:
    """Fill the stores, then tick."""
    gc.set_threshold(50_000, 50, 100)  # as the collector does
    clock = ManualClock(MIDNIGHT)
    control = Control(directory / "control.sqlite")
    expectations = Expectations(control.engine, clock)
    control.observer = expectations
    alerts = Alerts(control.engine)
    alerts.add_channel("ops", "https://hooks.example.com/x", now_ns=clock.now_ns())
    journal = Journal(directory / "journal", clock=clock)
    monitor = Monitor(
        Tools(expectations, alerts, lambda _run: 0, "http://127.0.0.1:8501"), journal, lambda: journal.durable_end, clock, 0
    )
    for first in range(0, n, 1000):
        some = {f"w{i:06d}": document(i) for i in range(first, min(first + 1000, n))}
        expectations.policies.put(some, author="bench", reason=None, now_ns=clock.now_ns())
    tick(monitor, clock, MIDNIGHT)  # the first slots
    with expectations.reading() as connection:
        deadlines = [row[0] for row in connection.exec_driver_sql("SELECT next_ns FROM watches ORDER BY next_ns")]
    one_percent = tick(monitor, clock, deadlines[n // 100])
    all_due = tick(monitor, clock, deadlines[-1] + S)
    memory = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
    journal.close()
    return {"one_percent_seconds": one_percent, "all_seconds": all_due, "memory_mb": memory, "floor_seconds": floor(n, directory)}


def floor(n: int, directory: Path) -> float:
    """Four rows an instance (its slot, the next one, the instance, the incident), a thousand instances a transaction."""
    with sqlite3.connect(directory / "floor.sqlite", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE rows (workflow TEXT, host TEXT, at INTEGER, a, b, c, d, e, f, PRIMARY KEY (workflow, host, at))"
        )
        started = time.perf_counter()
        for first in range(0, n, 1000):
            connection.execute("BEGIN IMMEDIATE")
            rows = [(f"w{i:06d}", "", kind, 1, 2, 3, "text", None, 4) for i in range(first, first + 1000) for kind in range(4)]
            connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        return time.perf_counter() - started


def tick(monitor: Monitor, clock: ManualClock, at_ns: int) -> float:
    """How long one tick takes."""
    clock.set_ns(at_ns)
    monitor._last_beat_ns = at_ns  # what is measured is a tick, not the recovery from a downtime
    started = time.perf_counter()
    monitor.tick()
    return time.perf_counter() - started


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(main(int(sys.argv[1]), Path(home))))
