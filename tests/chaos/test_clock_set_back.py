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
from chaos.oracle import Oracle, Outcome
from chaos.scenarios import begin
from collectors import until
from receivers import HttpReceiver

from rota_collector.clock import SystemClock
from rota_collector.journal import Journal

SEED = int(os.environ.get("ROTA_SEED", "1"))
HOUR = 3600
HELD_SECONDS = 2.0  # at each setting of the clock: the monitor looks every second
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
        self.failed = 0
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
        self.failed += 1
        number, at = 900_000 + self.failed, self.now_ns()
        workflow = f"failing.{self.failed}"
        states = otlp.state(number, "running", at - 10**9, workflow), otlp.state(number, "failed", at, workflow)
        self.collector.send(*states)

    def told(self) -> Counter[tuple[str, str]]:
        """How often people were told of each thing: (what, id of the incident)."""
        incidents = [each for delivery in self.receiver.deliveries for each in delivery.payload["incidents"]]
        return Counter((each["transition"], each["id"]) for each in incidents)

    def opened(self) -> set[str]:
        """The workflows whose failing they were told of."""
        incidents = [each for delivery in self.receiver.deliveries for each in delivery.payload["incidents"]]
        return {each["workflow"] for each in incidents if each["transition"] == "opened"}

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


def positions(world: World) -> list[int]:
    """Where in the journal what was sent by HTTP is, in the order in which it was sent."""
    payloads = [
        bytes(record.payload) for record in Journal(world.collector.home / "journal", clock=SystemClock()).read(0, 1 << 30)
    ]
    bodies = [one.body for one in world.oracle.sent if one.door in ("proto", "json") and not one.is_gzip]
    return [payloads.index(body) for body in bodies]


def test_a_clock_that_is_set_back_loses_and_doubles_nothing(world):
    """Back by an hour, forward again beyond the time of slots, and a start while it is back."""
    policy = {"schedule": {"cron": "* * * * *", "grace": "1m"}}
    world.collector.put("/api/v1/workflows/due/policy", policy)
    for ahead_seconds in (0, -HOUR, 200, 200 - HOUR):
        world.set_clock(ahead_seconds)
        world.oracle.ship(world.collector, 4)
        world.fail()
        time.sleep(HELD_SECONDS)
    world.set_clock(400)
    time.sleep(HELD_SECONDS)
    world.collector.kill()
    world.set_clock(400 - HOUR)
    begin(world.collector)
    world.fail()
    world.oracle.ship(world.collector, 4)
    world.set_clock(400)
    world.oracle.settle(world.collector)
    assert [each for each in world.oracle.problems if not each.startswith("never sent")] == []  # others send too, here
    assert set(world.oracle.counts) == {Outcome.ACKNOWLEDGED}

    slots = Counter((slot["host"], slot["due_at"]) for slot in world.collector.item("/slots", workflow="due")["items"])
    assert set(slots.values()) == {1}
    assert len(slots) >= 6
    failing = {f"failing.{n}" for n in range(1, world.failed + 1)}
    until(lambda: world.opened() >= failing, "an alert for each failure")
    assert set(world.told().values()) == {1}

    assert world.collector.stop() == 0
    assert (found := positions(world)) == sorted(found)
    assert len(found) > 4
