"""Damage to control state: the collector says so and what to do, or nothing is missing. No key is lost in silence.

A sample with a real collector in `make test`; in `make soak` `ROTA_DAMAGES` (3,000) flipped bits and pages of zeros in the file
and in its write-ahead log. What SQLite cannot know, a value of a row that became another, is counted and not hidden.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest
from chaos.kept import Kept
from chaos.scenarios import begin
from made_keys import make_keys

from rota.rules.fold import Run, RunEvent
from rota_collector.clock import ManualClock
from rota_collector.errors import StoreError
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter
from rota_collector.store.keys import Keys

SEED = int(os.environ.get("ROTA_SEED", "1"))
T0 = 1_790_000_000 * 10**9
PAGE, RUNS = 4096, 200
FILE, LOG = "control.sqlite", "control.sqlite-wal"


def test_a_damaged_log_is_said_and_cut_as_said(killed):
    """The start is refused with the command that goes on without what cannot be read; then every run is there again."""
    collector, oracle = killed
    log = collector.home / LOG
    data = bytearray(log.read_bytes())
    data[len(data) // 3] ^= 1
    log.write_bytes(data)
    assert collector.spawn().wait(30) == 1
    told = re.search(r"is damaged: \d+ transactions .*truncate -s (\d+) (\S+)\. ", collector.stderr)
    assert told is not None, collector.stderr
    assert told[2] == str(log)
    os.truncate(log, int(told[1]))
    oracle.forget_ping_key()  # it may be among what was lost
    begin(collector)
    oracle.settle(collector)
    assert oracle.problems == []


def test_a_damaged_file_is_said_and_runs_come_back_without_it(killed):
    """The start is refused; with the file moved away, as it says, every run is there again."""
    collector, oracle = killed
    with contextlib.closing(sqlite3.connect(collector.home / FILE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it is in the file
    data = (collector.home / FILE).read_bytes()
    assert len(data) > 20 * PAGE
    (collector.home / FILE).write_bytes(data[: 8 * PAGE] + bytes(PAGE) + data[9 * PAGE :])
    assert collector.spawn().wait(30) == 1
    assert re.search(r"control.sqlite is damaged: .*restore DIR.*move it away with its -wal and -shm", collector.stderr)
    for part in collector.home.glob(f"{FILE}*"):
        part.rename(part.with_name(f"away.{part.name}"))
    oracle.forget_ping_key()
    begin(collector)
    oracle.settle(collector)
    assert oracle.problems == []


class Filled(NamedTuple):
    """What was in a store, and its files: after a clean stop, or as a kill leaves them."""

    files: dict[str, bytes]
    keys: list[str]
    runs: dict[str, Run]


def filled(folder: Path, is_stopped: bool) -> Filled:
    """A store with keys and runs."""
    folder.mkdir()
    control = Control(folder / FILE)
    keys = make_keys(control, 6)
    for n in range(RUNS):
        run_id, at = f"01990000-0000-7000-8000-{n:012}", T0 + n * 10**9
        states = ("running", "succeeded" if n % 3 else "failed")
        control.apply([RunEvent(f"{run_id} {state}", run_id, f"etl.{n % 20}", state, at) for state in states], n + 1)
    runs = _runs(control)
    if is_stopped:
        control.close()
    files = {name: (folder / name).read_bytes() for name in (FILE, LOG) if (folder / name).exists()}
    control.close()
    shutil.rmtree(folder)
    return Filled(files, keys, runs)


def _runs(control: Control) -> dict[str, Run]:
    return {run.run_id: run for run in control.runs(RunFilter(), limit=2 * RUNS).items}


def outcome(folder: Path, was: Filled) -> str:
    """What becomes of a start on the files in a folder."""
    try:
        control = Control(folder / FILE)
    except StoreError as error:
        return "refused" if "restore DIR" in str(error) else f"refused without a next step: {error}"
    keys = Keys(folder / FILE, ManualClock(T0))
    try:
        if keys.is_open or None in [keys.find(key) for key in was.keys]:
            return "a key lost"
        if control.offset() < RUNS:
            return "applied again"  # from the journal: as a crash leaves it
        with control.engine.begin() as connection:
            found = [str(text) for (text,) in connection.exec_driver_sql("PRAGMA integrity_check")]
        if found != ["ok"]:
            return "noticed when it is copied"
        return "as before" if _runs(control) == was.runs else "a value changed"
    except Exception as error:  # noqa: BLE001 (whoever asks for it is told)
        return f"noticed when it is read: {type(error).__name__}"
    finally:
        keys.close()
        control.close()


def damage(files: dict[str, bytes], name: str, chance: random.Random) -> dict[str, bytes]:
    """The same files with a bit flipped, or with zeros over a page."""
    data = bytearray(files[name])
    at = chance.randrange(len(data))
    if chance.random() < 0.5:
        data[at] ^= 1 << chance.randrange(8)
    else:
        begin_at = at // PAGE * PAGE
        data[begin_at : begin_at + PAGE] = bytes(len(data[begin_at : begin_at + PAGE]))
    return {**files, name: bytes(data)}


def damaged(folder: Path, many: int, seed: str) -> Counter[str]:
    """What became of so many damages."""
    folder.mkdir(exist_ok=True)
    chance, outcomes = random.Random(seed), Counter[str]()
    stores = {FILE: filled(folder / "stopped", is_stopped=True), LOG: filled(folder / "killed", is_stopped=False)}
    for n in range(many):
        name = (FILE, LOG)[n % 2]
        (home := folder / "home").mkdir()
        for part, data in damage(stores[name].files, name, chance).items():
            (home / part).write_bytes(data)
        outcomes[f"{name}: {outcome(home, stores[name])}"] += 1
        shutil.rmtree(home)
    return outcomes


def in_silence(outcomes: Counter[str]) -> list[str]:
    """What must not happen."""
    return [each for each in outcomes if "a key lost" in each or "without a next step" in each]


def test_damage_is_refused_or_nothing_is_missing(tmp_path):
    """A sample of the soak."""
    outcomes = damaged(tmp_path, 16, f"{SEED}")
    assert in_silence(outcomes) == []
    assert outcomes[f"{LOG}: refused"] > 0


@pytest.mark.soak
def test_thousands_of_damages(tmp_path, pytestconfig):
    """Many more."""
    kept = Kept("control-damage", pytestconfig)
    wanted, outcomes = int(os.environ.get("ROTA_DAMAGES", "3000")), Counter[str]()
    for n in range(0, wanted, 100):
        outcomes += damaged(tmp_path / f"{n}", 100, f"{SEED} {n}")
        kept.keep({"seed": SEED, "damages": n + 100, "outcomes": outcomes}, f"control damage: {n + 100} of {wanted}")
    assert in_silence(outcomes) == []
