"""A monitor over N different schedules in mixed zones: prints what a tick costs with 1 % due, with all due, and the memory.

Argument: N. All is real but the clock: the stores, the reviews, the messages. Seconds, and MB of resident memory.
"""

from __future__ import annotations

import json
import resource
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
    clock = ManualClock(MIDNIGHT)
    control = Control(directory / "control.sqlite")
    expectations = Expectations(control.engine, clock)
    control.observer = expectations
    alerts = Alerts(control.engine)
    alerts.add_channel("ops", "https://hooks.example.com/x", now_ns=clock.now_ns())
    journal = Journal(directory / "journal", clock=clock)
    monitor = Monitor(Tools(expectations, alerts, lambda _run: 0, "http://127.0.0.1:8501"), journal, lambda: journal.durable_end, clock, 0)
    expectations.policies.put({f"w{i:06d}": document(i) for i in range(n)}, author="bench", reason=None, now_ns=clock.now_ns())
    tick(monitor, clock, MIDNIGHT)  # the first slots
    with expectations.transaction() as connection:
        deadlines = [row[0] for row in connection.exec_driver_sql("SELECT next_ns FROM watches ORDER BY next_ns")]
    one_percent = tick(monitor, clock, deadlines[n // 100])
    all_due = tick(monitor, clock, deadlines[-1] + S)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    journal.close()
    return {"one_percent_seconds": one_percent, "all_seconds": all_due, "memory_mb": memory}


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
