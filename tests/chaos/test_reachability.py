"""When a collector is down, silent, slow, in error, or cut off in the middle of an answer, each gate's own word holds, soon; it
is told later; and the job is as it would have been.

A seeded sample in `make test` (`ROTA_SEED` chooses another); every cell in `make soak`.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from chaos.kept import Kept
from chaos.reach import CELLS, PLACES, Host, Place, put_policies

SEED = int(os.environ.get("ROTA_SEED", "1"))
AT_ONCE = 4


@pytest.mark.parametrize("place", random.Random(SEED).sample(PLACES, 1), ids=str)
def test_some_gates_say_what_holds(tmp_path: Path, new_collector, place: Place) -> None:
    """At two of the ten places, with a few of their cells."""
    collector = new_collector().start()
    put_policies(collector)
    cells = random.Random(f"{SEED}{place}").sample(CELLS, 8)
    tried = Host(tmp_path, collector).try_all(place, cells, AT_ONCE)
    assert [problem for one in tried for problem in one.problems] == []


@pytest.mark.soak
def test_all_gates_say_what_holds(tmp_path: Path, new_collector, pytestconfig: pytest.Config) -> None:
    """Everywhere."""
    kept, problems, slowest, many = Kept("reach", pytestconfig), list[str](), dict[str, float](), 0
    for number, place in enumerate(PLACES):
        collector = new_collector().start()
        put_policies(collector)
        tried = Host(tmp_path / f"{number}", collector).try_all(place, CELLS, AT_ONCE)
        many += len(tried)
        problems += [problem for one in tried for problem in one.problems]
        slowest[f"{place.fault}, {'an' if place.has_agent else 'no'} agent"] = round(max(one.seconds for one in tried), 1)
        collector.stop()
        kept.keep(
            {"cells": many, "slowest_seconds": slowest, "problems": problems}, f"reach: {many} cells, {len(problems)} problems"
        )
    assert problems == []
