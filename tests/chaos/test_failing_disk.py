"""A disk that is full or broken at the worst moment: what cannot be kept is refused with 503, and it goes on by itself.

A seeded sample in `make test` (`ROTA_SEED` chooses another); `make soak` lets every call of five scenarios fail in both
ways, seed after seed, until `ROTA_ERRORS` (1,000) of them did. As root, a really full disk too: a small tmpfs.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from chaos.faults import BROKEN, HAS_STRACE, NO_SPACE, Fault, FaultyCollector
from chaos.kept import Kept
from chaos.lives import Campaign, crusade
from chaos.oracle import Oracle, Outcome
from chaos.scenarios import SCENARIOS, begin
from otlp_messages import span
from telemetries import trace_record

from rota_collector.store.telemetry import Telemetry

SEED = int(os.environ.get("ROTA_SEED", "1"))
needs_strace = pytest.mark.skipif(not HAS_STRACE, reason="needs strace: apt-get install strace")
USUAL = [
    Fault(target, call, nth, does)
    for does in (NO_SPACE, BROKEN)
    for target, call in (("journal", "pwritev2"), ("journal", "fdatasync"), ("control", "pwrite64"), ("telemetry", "write"))
    for nth in (1, 2, 3)
]
SAMPLE = 2


@needs_strace
def test_some_errors_are_outlived(tmp_path):
    """One call fails: what was acknowledged is there once, and what was refused is taken later."""
    campaign = Campaign(tmp_path, SCENARIOS["restart"], SEED)
    for fault in random.Random(SEED).sample(USUAL, SAMPLE):
        campaign.strike(fault)
    campaign.settle()
    campaign.close()
    assert campaign.problems == []
    assert campaign.struck >= SAMPLE - 1


@needs_strace
def test_what_the_journal_cannot_write_is_refused(tmp_path):
    """As long as no write of the journal succeeds, every door refuses, and the next life has nothing twice."""
    campaign = Campaign(tmp_path, SCENARIOS["ingest"], SEED)
    collector, oracle = campaign.collector, Oracle(SEED)
    collector.inject(Fault("journal", "pwritev2", 1, NO_SPACE, goes_on=True))
    begin(collector)
    assert set(oracle.ship(collector, 8)) <= {Outcome.REFUSED, Outcome.UNANSWERED}
    assert oracle.counts[Outcome.REFUSED] >= 6  # the ping has no key where none can be made
    collector.kill()
    collector.leave_alone()
    begin(collector)
    oracle.settle(collector)
    assert oracle.problems == []
    oracle.close()
    campaign.close()


@needs_strace
def test_a_new_store_is_whole_or_is_not_there(tmp_path):
    """DuckDB says nothing when the last write of a file fails, as it closes it."""
    campaign = Campaign(tmp_path, SCENARIOS["rebuild"], SEED)
    campaign.strike(Fault("telemetry", "pwrite64", 4, NO_SPACE))
    campaign.settle()
    campaign.close()
    assert (campaign.struck, campaign.problems) == (1, [])


@needs_strace
def test_a_store_that_is_written_anew_is_whole_or_is_not_there(tmp_path):
    """Else it would take the place of one that is."""
    source = tmp_path / "telemetry.duckdb"
    store = Telemetry.open(source)
    store.apply([trace_record(0, *map(span, range(1, 100)))])
    store.close()
    outcomes = [_written_anew(source, tmp_path / f"anew-{nth}", nth) for nth in (4, 7, 8)]
    assert outcomes == ["it failed, and there is none"] * 2 + ["99 spans"]


def _written_anew(source: Path, target: Path, nth: int) -> str:
    """With every write of the file itself failing from that one on. There are three before it is closed, and four then."""
    what = ["-e", "trace=pwrite64", "-e", f"inject=pwrite64:error=ENOSPC:when={nth}+"]
    faulty = ["strace", "-f", "-qqq", "--seccomp-bpf", "-o", "/dev/null", "-P", f"{target}.new", *what]
    command = [sys.executable, "-m", "rota_collector.store.compact", str(source), str(target)]
    if subprocess.run([*faulty, *command], capture_output=True, check=False).returncode:
        return "it failed, and there is one" if target.exists() else "it failed, and there is none"
    with duckdb.connect(target, read_only=True) as made:
        return "{} spans".format(*made.execute("SELECT count(*) FROM spans").fetchall()[0])


@pytest.mark.soak
@needs_strace
def test_every_error_is_outlived(tmp_path, pytestconfig):
    """ENOSPC and EIO at every call of every scenario."""
    wanted = int(os.environ.get("ROTA_ERRORS", "1000"))
    assert crusade(tmp_path, [NO_SPACE, BROKEN], wanted, Kept("errors", pytestconfig), "errors", SEED).problems == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24M", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root that may mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Leave no block of the disk free."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def test_a_full_disk_refuses_and_recovers(small_disk, tmp_path):
    """With no space left every door refuses; with space again the same collector, or its next life, takes everything."""
    collector = FaultyCollector(small_disk / "home", tmp_path / "stderr", tmp_path / "strace")
    oracle = Oracle(SEED)
    begin(collector)
    oracle.ship(collector, 8)
    ballast = small_disk / "ballast"
    fill(ballast)
    refused = 0
    for _ in range(200):  # the last pages still take something small
        refused = 0 if oracle.ship(collector) == [Outcome.ACKNOWLEDGED] else refused + 1
    assert refused > 8
    ballast.unlink()
    if collector.process.poll() is not None:  # its supervisor would
        begin(collector)
    oracle.settle(collector)
    assert oracle.problems == []
    assert collector.stop() == 0
    oracle.close()
    collector.close()
