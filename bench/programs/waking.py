"""N runs that wait for one place of a pool, which then has room for all: how long until each is told to go, and in which order.

Argument: N. The waiting room is real, and so is its store; only nobody asks over HTTP. Prints ``seconds``, ``passed`` (how many
were told before one that had asked earlier), and ``floor_seconds``: SQLite alone, writing a row each, in transactions as large.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from concurrent.futures import Future, wait
from itertools import pairwise
from pathlib import Path

from rota_collector.clock import SystemClock
from rota_collector.domain.admission import Question
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.pools import Pools
from rota_collector.store.questions import Permission
from rota_collector.watch.desk import BATCH
from rota_collector.watch.waiting import Waiting

POLICY = {"gates": [{"kind": "concurrency", "limit": 1, "scope": "bench"}]}


def main(n: int, directory: Path) -> dict[str, float]:
    """Ask, let all of them wait, make room, and wait for the last answer."""
    clock, control = SystemClock(), Control(directory / "control.sqlite")
    expectations = Expectations(control.engine, clock)
    expectations.policies.put({"bench": POLICY}, author="bench", reason=None, now_ns=clock.now_ns())
    room, pools = Waiting(expectations, clock), Pools(control.engine)
    room.start()
    asked = [room.ask(Question("bench", f"run {number}"), None, None, "", 600.0) for number in range(n + 1)]
    asked[0].result()
    while sum(waiter.decision is not None for waiter in room.waiters()) < n:
        time.sleep(0.1)
    order: list[int] = []
    for number, answer in enumerate(asked[1:]):
        answer.add_done_callback(_noting(order, number))
    started = time.perf_counter()
    pools.set("bench", n + 1, by="bench", now_ns=clock.now_ns())
    room.look_again()
    wait(asked)
    seconds = time.perf_counter() - started
    room.stop(10.0)
    control.close()
    passed = sum(later < earlier for earlier, later in pairwise(order))
    return {"seconds": seconds, "passed": passed, "floor_seconds": floor(n, directory)}


def _noting(order: list[int], number: int) -> object:
    def note(_answer: Future[Permission]) -> None:
        order.append(number)

    return note


def floor(n: int, directory: Path) -> float:
    """A row each."""
    with sqlite3.connect(directory / "floor.sqlite", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, a, b, c, d, e)")
        started = time.perf_counter()
        for first in range(0, n, BATCH):
            connection.execute("BEGIN IMMEDIATE")
            rows = [(f"row {i}", 1, 2, 3, "text", "text") for i in range(first, first + BATCH)]
            connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")
        return time.perf_counter() - started


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(main(int(sys.argv[1]), Path(home))))
