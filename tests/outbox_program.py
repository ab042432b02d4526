"""A program that tells and sends: transitions with their messages into an outbox, and a sender beside it.

Its arguments: folder, address of a receiver, how many transitions, and at which step to kill itself (0: at none). A step is a
line of the outbox's store, of the sender or of the worker, in whichever thread. It goes on where an earlier start ended,
and prints how many steps there were.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from rota_collector.clock import SystemClock
from rota_collector.domain.message import Notice, compose
from rota_collector.notify import worker
from rota_collector.store import alerts
from rota_collector.store.dialect import open_sqlite
from rota_collector.watch import outbox

CHANNEL = "ops"
_TRACED = {module.__file__ for module in (alerts, outbox, worker)}


def main(folder: str, url: str, count: int, kill_at: int) -> None:
    """Tell, send, end when all is sent."""
    engine = open_sqlite(Path(folder, "control.sqlite"))
    with engine.execution_options(writes=True).begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS told (number INTEGER PRIMARY KEY, id TEXT)"))
    steps = _count_steps(kill_at)
    there = alerts.Alerts(engine)
    if there.channel(CHANNEL) is None:
        there.add_channel(CHANNEL, url, 1)
    sender = outbox.Sender(there, worker.Worker(allow_private=True), SystemClock(), chance=lambda: 0.0)
    sender.start()
    for number in range(_told(engine), count):
        _tell(engine, there, number)
        sender.wake()
    while there.page("waiting").items:
        time.sleep(0.005)
    sender.stop(30)
    print(next(steps))


def _told(engine: Engine) -> int:
    with engine.begin() as connection:
        return connection.execute(text("SELECT count(*) FROM told")).scalar_one()


def _tell(engine: Engine, there: alerts.Alerts, number: int) -> None:
    """One transition and its message, in one transaction."""
    at_ns = time.time_ns()
    notice = Notice(f"i{number}", "opened", "failed", "etl", "", at_ns, at_ns, "it failed", None, None, None, None, None)
    with engine.execution_options(writes=True).begin() as connection:
        (message,) = compose([notice], there.channel_names(connection), "http://127.0.0.1:8501")
        connection.execute(text("INSERT INTO told VALUES (:number, :id)"), {"number": number, "id": message.id})
        there.enqueue(connection, [message], at_ns)


def _count_steps(kill_at: int) -> itertools.count[int]:
    """Counts the lines that run, and kills this process at the one that is asked for."""
    steps = itertools.count(1)

    def trace(frame: Any, event: str, _argument: Any) -> Any:
        if frame.f_code.co_filename not in _TRACED:
            return None
        if event == "line" and next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    return steps


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
