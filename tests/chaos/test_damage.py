"""Bytes that flip on the disk of a collector: only the record they were in is lost, and that is counted; stores are made again.

A seeded sample in `make test` (`ROTA_SEED` chooses another); `ROTA_FLIPS` (10,000) places of a journal, and DuckDB's files, in
`make soak`.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
from chaos.kept import Kept
from chaos.scenarios import begin

from rota_collector.clock import ManualClock
from rota_collector.journal import Journal, Signal

SEED = int(os.environ.get("ROTA_SEED", "1"))
SAMPLE = 60


def flip(path: Path, at: int, bit: int) -> None:
    """Change one bit of a file, where it lies."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes((byte ^ 1 << bit,)))


def filled(folder: Path, chance: random.Random) -> list[tuple[int, bytes]]:
    """A journal of some records and one more, as (offset, payload)."""
    journal = Journal(folder, clock=ManualClock(), segment_bytes=6_000)
    payloads = [chance.randbytes(chance.choice((1, 20, 300, 3_000))) for _ in range(12)]
    found = [(journal.append_blocking(Signal.LOGS_PROTO, payload), payload) for payload in payloads]
    journal.close()
    return found


def damaged(folder: Path, kept: list[tuple[int, bytes]], chance: random.Random) -> str:
    """Flip a bit anywhere in a journal of ``kept``, read it, put the bit back; what is wrong with what was read."""
    segments = sorted(folder.glob("*.journal"))
    path = chance.choice(segments)
    before = path.read_bytes()
    at, bit = chance.randrange(len(before)), chance.randrange(8)
    flip(path, at, bit)
    hit = max(offset for offset, _ in kept if offset <= int(path.stem) + at)
    journal = Journal(folder, clock=ManualClock(), segment_bytes=6_000)
    found = [(record.offset, record.payload) for record in journal.read(0, 1 << 30)]
    lost = sum(journal.damage.values()) + journal.torn_bytes
    journal.close()
    path.write_bytes(before)
    shutil.rmtree(folder / "quarantine", ignore_errors=True)
    wanted = [each for each in kept if each[0] != hit]
    if found == wanted and lost > 0:
        return ""
    return f"bit {bit} of byte {at} in {path.name}: {len(found)} of {len(wanted)} records were read, {lost} bytes counted as lost"


def test_a_flipped_bit_costs_one_record(tmp_path):
    """Any bit of a journal: every record but the one that it was in is read, and the loss is counted."""
    chance = random.Random(SEED)
    kept = filled(tmp_path / "journal", chance)
    assert [wrong for _ in range(SAMPLE) if (wrong := damaged(tmp_path / "journal", kept, chance))] == []


@pytest.mark.soak
def test_ten_thousand_flipped_bits_cost_one_record_each(tmp_path, pytestconfig):
    """The same in one journal after the other."""
    kept_result = Kept("flips", pytestconfig)
    wanted, problems = int(os.environ.get("ROTA_FLIPS", "10000")), []
    for number in range(0, wanted, 100):
        chance = random.Random(f"{SEED} {number}")
        folder = tmp_path / str(number)
        kept = filled(folder, chance)
        problems += [f"journal {number}: {wrong}" for _ in range(100) if (wrong := damaged(folder, kept, chance))]
        shutil.rmtree(folder)
        told = {"seed": SEED, "flips": number + 100, "problems": problems}
        kept_result.keep(told, f"flips: {number + 100} of {wanted}, {len(problems)} problems")
    assert problems == []


def spoil(path: Path, share: float) -> None:
    """Zeros over a part of a file that begins at ``share`` of it."""
    data = bytearray(path.read_bytes())
    at = int(share * len(data))
    data[at : at + 4096] = bytes(len(data[at : at + 4096]))
    path.write_bytes(data)


def test_a_telemetry_file_that_does_not_open_is_made_again(killed):
    """DuckDB's file begins with zeros: it is set aside, and everything is there again without anybody's doing."""
    collector, oracle = killed
    spoil(collector.home / "telemetry.duckdb", 0.0)
    begin(collector)
    oracle.settle(collector)
    assert oracle.problems == []
    assert list(collector.home.glob("telemetry.duckdb.bad-*")) != []


@pytest.mark.soak
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("name", ["telemetry.duckdb", "telemetry.duckdb.wal"])
def test_a_damaged_store_comes_back_whole(killed, name, share):
    """Zeros anywhere in DuckDB's file or its write-ahead log: the collector lives, and what it shows is what was acknowledged."""
    collector, oracle = killed
    spoil(collector.home / name, share)
    begin(collector)
    oracle.settle(collector)
    assert oracle.problems == []
