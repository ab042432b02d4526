"""Every way in which a watched process lives and dies: the script does what it did without rota, and nothing is missing of it.

A seeded sample in `make test` (`ROTA_SEED` chooses another), every cell in `make soak`, which also tells what rota added to the
programs' time and writes it to `bench/results/matrix.json`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bench import machine, report
from chaos import cells, delays
from chaos.cells import Cell, Promise
from chaos.surroundings import Surroundings, kernel_tells, surroundings
from collectors import until
from scripts import PYTHONS, SDK, WITHOUT

HERE = Path(__file__).parent
HANG_SECONDS = 60


def is_sample(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "not soak")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        seed = int(os.environ.get("ROTA_SEED", "1"))
        found = cells.sample(list(PYTHONS), seed) if is_sample(metafunc.config) else cells.every(list(PYTHONS))
        metafunc.parametrize("cell", found, ids=str)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    """What all cells share."""
    with surroundings(tmp_path_factory.mktemp("around")) as found:
        yield found


@pytest.fixture(scope="module")
def delayed(pytestconfig: pytest.Config) -> Iterator[delays.Delays]:
    """Takes the delay of each cell; `make soak` keeps and shows them."""
    found = delays.Delays()
    yield found
    if is_sample(pytestconfig) or not found.cells:
        return
    figures = found.figures()
    taken = {"taken_at": time.strftime("%Y-%m-%d"), "effort": round(found.cells / len(cells.every(list(PYTHONS))), 3)}
    report.save("matrix", figures, {**taken, "machine": machine.described()})
    (report.RESULTS / "README.md").write_text(report.page(), encoding="utf-8")
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():  # type: ignore[union-attr]
        print(f"\n\nadded to a program's time, in {found.cells} cells:\n{delays.told(figures)}")


def test_there_are_interpreters_to_speak_of() -> None:
    """A matrix over fewer than three CPythons says little of the others: where the result decides, it is not green."""
    if len(PYTHONS) < 3:
        pytest.skip(f"needs three CPythons of 3.8 to 3.14, found {', '.join(PYTHONS)}: install more with pyenv")


def test_nothing_changes_and_nothing_is_missing(cell: Cell, around: Surroundings, delayed: delays.Delays, tmp_path: Path) -> None:
    """Output and status are those without rota; afterwards the collector knows what the endings table promises, once."""
    home = tmp_path / "home"
    workflow = f"chaos.{cell}"
    names = {"ROTA_WORKFLOW": workflow, "CHILD": workflow + ".child"}
    alone = undisturbed(cell)
    observed = run(cell, {**around.environment(cell.collector, home), **names, "PYTHONPATH": str(SDK)})
    assert observed.told == alone.told
    delayed.add(cell, observed.seconds, alone.seconds)
    assert not (home / "errors.jsonl").exists(), (home / "errors.jsonl").read_text()
    if cell.collector != "agent":
        around.deliver(home)
    runs = until(lambda: ended(around, workflow), f"the end of {workflow}")
    assert told(runs) == [cells.promise(cell, kernel_tells())]
    check_spans(cell, spans(around, runs[0]["id"]))
    if cell.process == "subprocess":
        children = until(lambda: ended(around, names["CHILD"]), f"the end of {names['CHILD']}")
        assert told(children) == [cells.promise(cell._replace(process="plain"), kernel_tells())]
        assert children[0]["parent_run_id"] == runs[0]["id"]


class Ran(NamedTuple):
    """What the program of a cell told, as (status, stdout, stderr), and how long it took."""

    told: tuple[int, bytes, bytes]
    seconds: float


def run(cell: Cell, environment: dict[str, str]) -> Ran:
    command = [PYTHONS[cell.version], "-W", "ignore", str(HERE / "program.py"), cell.exit, cell.process, cell.alongside]
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, timeout=HANG_SECONDS, check=False)
    return Ran((done.returncode, done.stdout, done.stderr), time.perf_counter() - began)


def undisturbed(cell: Cell) -> Ran:
    """The same without rota, each time anew: the delay is that of two runs next to each other."""
    found = run(cell, {**os.environ, "PYTHONPATH": str(WITHOUT), "ROTA_WORKFLOW": "", "CHILD": ""})
    assert found.told[0] == cells.STATUS[cell.exit], found
    return found


def ended(around: Surroundings, workflow: str) -> list[dict[str, Any]]:
    """The runs of that workflow, once one is over."""
    found: list[dict[str, Any]] = around.collector.applied().item("/runs", workflow=workflow)["items"]
    return found if any(run["ended_at"] for run in found) else []


def told(runs: list[dict[str, Any]]) -> list[Promise]:
    return [Promise(run["state"], run["exit_code"]) for run in runs]


def spans(around: Surroundings, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = around.collector.item(f"/runs/{run_id}/spans")["items"]
    return found


def check_spans(cell: Cell, found: list[dict[str, Any]]) -> None:
    """Each task once, and all that promised to survive."""
    assert max(Counter(span["span_id"] for span in found).values(), default=1) == 1
    names = Counter(span["name"] for span in found)
    assert names["a worker"] == (4 if cell.process in ("Pool", "ProcessPoolExecutor") else 0)
    assert names["a child"] == (1 if cell.process in ("fork", "spawn", "forkserver") else 0)
    is_flushed = cells.promise(cell._replace(collector="up"), kernel_tells=False).exit_code is not None
    assert names["the process"] in ((1,) if is_flushed else (0, 1))
    if cell.alongside == "threads" and is_flushed:
        assert names["a thread"] == 60
