"""kill -9 at every step between a transition and its mark: no alert is lost, and what comes twice has the same id."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from collectors import clean_environment
from receivers import HttpReceiver

PROGRAM = Path(__file__).parents[1] / "outbox_program.py"
COUNT = 3  # transitions; from the second on the steps are those of a sender that is warm
SAMPLE = 6


def start(folder: Path, receiver: HttpReceiver, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the program until it has sent everything, or is killed."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(PROGRAM), str(folder), receiver.url, str(COUNT), str(kill_at)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)


def rows(folder: Path, query: str) -> set[str]:
    """What the killed program left."""
    connection = sqlite3.connect(folder / "control.sqlite")
    try:
        return {row[0] for row in connection.execute(query)}
    finally:
        connection.close()


def kill_and_check(folder: Path, kill_at: int) -> bool:
    """Kill the program at a step, start it again, and check what came. False: it ended before that step."""
    receiver = HttpReceiver()
    try:
        killed = start(folder, receiver, kill_at)
        assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
        is_there = bool(rows(folder, "SELECT name FROM sqlite_master WHERE name = 'outbox'"))
        marked = rows(folder, "SELECT id FROM outbox WHERE sent_ns IS NOT NULL") if is_there else set()
        again = start(folder, receiver)
        assert again.returncode == 0, again.stderr
        came = Counter(delivery.headers["webhook-id"] for delivery in receiver.deliveries)
        assert came.keys() == rows(folder, "SELECT id FROM told"), f"killed at step {kill_at}"
        assert len(came) == COUNT
        twice = {identity for identity, times in came.items() if times > 1}
        assert twice.isdisjoint(marked), f"killed at step {kill_at}: sent again although it was marked"
        assert len(twice) <= 1, f"killed at step {kill_at}: one message is under way at a time"
        assert max(came.values()) <= 2
    finally:
        receiver.close()
    return killed.returncode != 0


def test_an_alert_survives_a_kill_at_some_steps(tmp_path):
    """Steps drawn from all that there are."""
    receiver = HttpReceiver()
    steps = int(start(tmp_path / "whole", receiver).stdout)
    receiver.close()
    for kill_at in random.Random(3).sample(range(1, steps), SAMPLE):
        kill_and_check(tmp_path / str(kill_at), kill_at)


@pytest.mark.soak
def test_an_alert_survives_a_kill_at_every_step(tmp_path):
    """From the first step on, until the program ends before it is killed."""
    kill_at = 1
    while kill_and_check(tmp_path / str(kill_at), kill_at):
        kill_at += 1
    assert kill_at > 300
