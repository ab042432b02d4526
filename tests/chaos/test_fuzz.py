"""Whatever comes in: a decoder refuses it as malformed, or reads all of it. Nothing else comes out, and no two readings differ.

Small seeded samples in `make test` (`ROTA_SEED` chooses another); `ROTA_INPUTS` (a million) mutated requests in `make soak`, and
for `ROTA_FUZZ_SECONDS` (60) a door what atheris makes up, where it is installed.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pytest
from chaos.decoders import DOORS, SIGNALS, examine, examine_all, failing, shown
from chaos.kept import Kept
from chaos.mutations import Inputs, valid

SEED = int(os.environ.get("ROTA_SEED", "1"))
SAMPLE, ROUND, PART = 150, 50, 2_000
PROGRAM = Path(__file__).with_name("fuzz_program.py")


@pytest.mark.parametrize("door", DOORS)
def test_what_is_taken_can_be_read(door):
    """Mutated inputs are refused as malformed, or read without an error; what must hold of each door holds."""
    assert fuzzed(door, SEED, SAMPLE)[1] == []


@pytest.mark.parametrize("door", DOORS)
def test_the_inputs_to_begin_with_are_valid(door):
    """A mutation starts from something that the door takes, or it would only test the first lines."""
    taken = [examine(door, data) for data in valid(door)]
    assert sum(taken) >= 0.5 * len(taken) > 1


def fuzzed(door: str, seed: int, many: int) -> tuple[int, list[str]]:
    """(inputs taken, what was wrong with others), of so many mutated inputs."""
    inputs, taken, wrong = Inputs(seed), 0, []
    for _ in range(0, many, ROUND):
        some = [inputs.next(door) for _ in range(ROUND)]
        try:
            taken += examine_all(door, some)
        except Exception as together:  # noqa: BLE001 - whatever it is, it is what we look for
            alone = [f"{type(error).__name__}: {error}: {shown(data)}" for data, error in failing(door, some)]
            wrong += [f"{door}, seed {seed}: {each}" for each in alone or [f"only together: {together}"]]
    return taken, wrong


@pytest.mark.soak
def test_a_million_inputs(pytestconfig):
    """The same, very often, with seeds that no sample has."""
    kept = Kept("fuzz", pytestconfig)
    wanted = int(os.environ.get("ROTA_INPUTS", "1000000"))
    parts = [(DOORS[n % len(DOORS)], 1_000_000 * SEED + n) for n in range(-(-wanted // PART))]
    inputs, taken, problems = Counter[str](), Counter[str](), list[str]()
    workers = int(os.environ.get("ROTA_WORKERS", "2"))
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(fuzzed, door, seed, PART): door for door, seed in parts}
        for number, done in enumerate(as_completed(running), 1):
            door = running[done]
            found, wrong = done.result()
            inputs[door] += PART
            taken[door] += found
            problems += wrong
            if number % 10 == 0 or number == len(parts):
                told = {"seed": SEED, "inputs": inputs.total(), "by_door": inputs, "taken": taken, "problems": problems}
                kept.keep(told, f"fuzz: {inputs.total()} of {wanted} inputs, {taken.total()} taken, {len(problems)} problems")
    assert problems == []
    assert min(taken.values()) > 0


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris (CPython 3.11): pip install atheris")
@pytest.mark.parametrize("door", [*SIGNALS, "proto_pieces", "json_pieces", "inflate", "ping"])
def test_inputs_that_follow_the_code(door, tmp_path):
    """atheris looks for inputs that reach new lines, and finds none that is read wrongly."""
    seconds = os.environ.get("ROTA_FUZZ_SECONDS", "60")
    command = [sys.executable, str(PROGRAM), door, str(tmp_path), f"-max_total_time={seconds}", f"-artifact_prefix={tmp_path}/"]
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
