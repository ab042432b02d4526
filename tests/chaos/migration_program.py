"""Opens stores as the keeper does, each in a process of its own that stops itself before, for who wants to trace it.

A line of stdin is ``telemetry|control PATH``. Told on stdout: the id of the process, and once it ended its exit status.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from rota_collector.clock import SystemClock
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.telemetry import Telemetry


def open_telemetry(path: Path) -> None:
    Telemetry.open(path, memory=200_000_000, threads=1).close()


def open_control(path: Path) -> None:
    control = Control(path)
    Expectations(control.engine, SystemClock())
    Alerts(control.engine)
    KeyChanges(control.engine)
    control.close()


def main() -> None:
    for line in sys.stdin:
        store, path = line.split(maxsplit=1)
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGSTOP)
            {"telemetry": open_telemetry, "control": open_control}[store](Path(path.strip()))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
