"""The clock of the machine is set back by an hour and forward again while a collector receives, and while slots are due.

Nothing acknowledged is lost or there twice, no slot and no alert comes twice, and the journal stays in the order of arrival. The
wall clock of the processes is that of libfaketime, which reads a file; monotonic time goes on, as the kernel's does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import otlp
import pytest
from chaos.faults import FaultyCollector
from chaos.oracle import Oracle
from chaos.scenarios import begin
from receivers import HttpReceiver

SEED = int(os.environ.get("ROTA_SEED", "1"))
HOUR = 3600
HELD_SECONDS = 2.5  # at each setting of the clock: the monitor looks every second
pytestmark = pytest.mark.skipif(shutil.which("faketime") is None, reason="needs libfaketime: apt-get install faketime")


class World:
    """A collector whose clock somebody sets, an oracle that sends to it, and who gets its alerts."""

    def __init__(self, folder: Path) -> None:
        self._clock = folder / "clock"
        self.ahead_seconds = 0
        self.set_clock(0)
        self.collector = FaultyCollector(folder / "home", folder / "stderr", folder / "strace")
        self.collector.settings |= {
            "LD_PRELOAD": _library(), "FAKETIME_TIMESTAMP_FILE": str(self._clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "ROTA_WEBHOOK_ALLOW_PRIVATE": "1",
        }  # fmt: skip
        self.receiver = HttpReceiver()
        self.oracle = Oracle(SEED)
        self._failed = 0
        begin(self.collector)
        self.collector.post("/api/v1/channels", {"name": "all", "url": self.receiver.url})

    def set_clock(self, ahead_seconds: int) -> None:
        """From now on the processes are so many seconds ahead of the machine's clock."""
        self.ahead_seconds = ahead_seconds
        beside = self._clock.with_suffix(".new")
        beside.write_text(f"{ahead_seconds:+d}\n")
        beside.rename(self._clock)

    def now_ns(self) -> int:
        """What time it is for the collector."""
        return time.time_ns() + self.ahead_seconds * 10**9

    def fail(self) -> None:
        """A run of a workflow of its own fails: that is one incident, and one alert."""
        self._failed += 1
        number, at = 900_000 + self._failed, self.now_ns()
        workflow = f"failing.{self._failed}"
        states = otlp.state(number, "running", at - 10**9, workflow), otlp.state(number, "failed", at, workflow)
        self.collector.send(*states)

    def told(self) -> Counter[str]:
        """Of what people were told, how often."""
        return Counter(delivery.body.decode() for delivery in self.receiver.deliveries)

    def close(self) -> None:
        """Leave no process behind."""
        self.oracle.close()
        self.collector.close()
        self.receiver.close()


def _library() -> str:
    """Where libfaketime is: the program of that name tells the one that it starts."""
    said = subprocess.run(["faketime", "-f", "+0", "env"], capture_output=True, text=True, check=True)
    return next(line.partition("=")[2] for line in said.stdout.splitlines() if line.startswith("LD_PRELOAD="))


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(world):
    """Back by an hour, forward again, past the time of a slot, and through a kill."""
    answer = world.collector._client.put(
        f"{world.collector.url}/api/v1/workflows/due/policy", json={"schedule": {"cron": "* * * * *", "grace": "1m"}}
    )
    assert answer.status_code == 200, answer.text
    for ahead_seconds in (0, -HOUR, 200, 200 - HOUR, 400):
        world.set_clock(ahead_seconds)
        world.oracle.ship(world.collector, 8)
        world.fail()
        time.sleep(HELD_SECONDS)
    world.collector.kill()
    world.set_clock(400 - HOUR)
    begin(world.collector)
    world.oracle.ship(world.collector, 8)
    world.fail()
    time.sleep(HELD_SECONDS)
    world.set_clock(400)
    print(world.collector.item("/slots"), world.collector.item("/incidents"), world.told())
    assert 0
