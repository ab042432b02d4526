"""Deaths that the agent notices, where the kernel tells less than the newest one does."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from otlp_receiver import records, state_line
from scripts import plain
from servers import PATIENCE_SECONDS, poll

from rota.agent import deaths, witness
from rota.agent.deaths import Deaths
from rota.agent.spool import Spool
from rota.wire import names

STEM = "4242-00ff00ff00ff00ff"
HOLD = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, no witness")


@pytest.fixture
def spool(tmp_path) -> Spool:
    """A spool with the open run of one process."""
    for name in ("live", "left"):
        (tmp_path / name).mkdir()
    Path(tmp_path, "live", f"{STEM}.logs.jsonl").write_bytes(state_line("running"))
    return Spool(str(tmp_path))


@pytest.fixture
def watch() -> Iterator[Deaths]:
    """The watched processes of an agent."""
    with selectors.DefaultSelector() as selector:
        watching = Deaths(selector, pytest.fail)
        yield watching
        watching.close()


def ends(spool: Spool) -> list[dict[str, object]]:
    """What was added to the file, which has been moved to left/."""
    file = Path(spool.left, f"{STEM}.logs.jsonl")
    lines = file.read_bytes().splitlines()[1:] if file.exists() else []
    found = [record for line in lines for record in records(json.loads(line))]
    return [
        {"at_ns": int(record["timeUnixNano"]), **{pair["key"]: plain(pair["value"]) for pair in record["attributes"]}}
        for record in found
    ]


def die(watch: Deaths, spool: Spool) -> None:
    """Watch a process that ends with 5, and notice its death."""
    with subprocess.Popen([sys.executable, "-c", "import os; os._exit(5)"]) as process:
        pidfd = os.pidfd_open(process.pid)
        watch.watch(process.pid, pidfd, spool, STEM)
    for key, _ in watch._selector.select(PATIENCE_SECONDS):
        watch.notice(key.data)


def settled(watch: Deaths, spool: Spool) -> bool:
    """Whether the process is not watched any more."""
    watch.settle()
    return STEM not in spool.watched


def test_a_status_that_nobody_tells_is_not_guessed(spool, watch, monkeypatch):
    """On a kernel that does not tell, and when the parent has reaped: the run vanished, when it last wrote."""
    monkeypatch.setattr(witness, "wait_status", lambda pidfd, pid: None)
    monkeypatch.setattr(deaths, "_REAP_SECONDS", 0.0)
    os.utime(Path(spool.live, f"{STEM}.logs.jsonl"), ns=(7_000, 7_000))
    die(watch, spool)
    poll(lambda: settled(watch, spool), "it is watched for ever")
    (end,) = ends(spool)
    assert (end[names.STATE], end[names.REASON], end["at_ns"]) == ("crashed", "vanished", 7_000)


def test_a_status_that_comes_late_is_waited_for(spool, watch, monkeypatch):
    """Until the parent has reaped it, nobody speaks for the process; the loop looks again soon, and does not wait."""
    told = [None, None, 5 << 8]
    monkeypatch.setattr(witness, "wait_status", lambda pidfd, pid: told.pop(0))
    die(watch, spool)
    assert watch.next_look_seconds == deaths.SOON_SECONDS
    assert ends(spool) == []
    assert not settled(watch, spool)
    poll(lambda: settled(watch, spool), "the status is not taken")
    (end,) = ends(spool)
    assert (end[names.STATE], end[names.PROCESS_EXIT_CODE]) == ("failed", 5)
    assert watch.next_look_seconds == deaths.SCAN_SECONDS


def test_an_end_that_cannot_be_noted_yet_is_noted_later(spool, watch):
    """While another shipper has the file, or the disk is full, the status is kept in memory."""
    path = Path(spool.live, f"{STEM}.logs.jsonl")
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        die(watch, spool)
        assert not settled(watch, spool)
        other.communicate()
    poll(lambda: settled(watch, spool), "it is not noted")
    assert [end[names.PROCESS_EXIT_CODE] for end in ends(spool)] == [5]


def test_a_process_found_dead_is_buried_at_the_second_look(spool, watch):
    """Its hello may still wait at the door; with it, the exit status is to be had."""
    watch.find(spool)
    assert ends(spool) == []
    watch.find(spool)
    assert [end[names.REASON] for end in ends(spool)] == ["vanished"]


def test_a_hello_heard_between_two_looks_counts(spool, watch):
    """A process that was found dead, and whose hello came then, is told by its exit status."""
    watch.find(spool)
    die(watch, spool)
    watch.find(spool)
    poll(lambda: settled(watch, spool), "it is not noted")
    assert [end[names.PROCESS_EXIT_CODE] for end in ends(spool)] == [5]


def test_a_writer_is_watched_once(spool, watch):
    """However often it is found, one pidfd is enough."""
    command = [sys.executable, "-c", HOLD, str(Path(spool.live, f"{STEM}.logs.jsonl"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        for _ in range(3):
            watch.find(spool)
        assert spool.watched == {STEM}
        assert len(watch._selector.get_map()) == 1
        writer.communicate()
