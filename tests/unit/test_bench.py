"""The bench programs: they can be started, and what they find can be read. No figure is asserted here."""

from __future__ import annotations

import json
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROGRAMS = sorted((TOP / "bench" / "programs").glob("*.py"))
TAKEN = {
    "taken_at": "2026-01-01",
    "effort": 1.0,
    "machine": {
        "cpu": "A CPU",
        "cores": 2,
        "memory_gb": 8.0,
        "kernel": "Linux 6.18",
        "python": "CPython 3.11.7",
        "fdatasync_ms": 0.3,
        "load_before": 0.1,
        "versions": {"duckdb": "1.5.5"},
    },
}


@pytest.fixture(autouse=True)
def top_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(TOP))


@pytest.fixture
def figures():
    from bench.figures import Figure

    return [
        Figure("delivered", "rota", "ms", (13.0, 12.0, 14.0), "bare", (10.0, 10.0, 10.0), budget="startup.collector"),
        Figure("acknowledged", "rota", "spans/s", (200_000.0,), "empty", (400_000.0,), "ratio", "ingest.acknowledged", False),
    ]


def test_every_measurement_can_be_imported_and_run_by_name():
    """Each name that `make bench` takes is a module with a `measure` that takes the effort."""
    import importlib

    from bench.__main__ import MEASUREMENTS

    assert all(callable(importlib.import_module(f"bench.{name}").measure) for name in MEASUREMENTS)


@pytest.mark.parametrize("program", PROGRAMS, ids=[program.stem for program in PROGRAMS])
def test_every_measured_program_compiles(program, tmp_path):
    """No program that is started in another environment has a syntax error."""
    py_compile.compile(str(program), cfile=str(tmp_path / "compiled"), doraise=True)


def test_the_help_names_the_measurements():
    """`make bench ARGS=--help` lists what can be measured."""
    done = subprocess.run([sys.executable, "-m", "bench", "--help"], cwd=TOP, capture_output=True, text=True, check=True)
    assert "small_requests" in done.stdout
    assert "--quick" in done.stdout


def test_a_comparison_is_made_pair_by_pair(figures):
    """A difference is the median of the differences of each round, a ratio that of the ratios."""
    assert figures[0].compared == (3.0, 2.0, 4.0)
    assert figures[1].compared.median == 0.5


def test_a_goal_is_met_from_its_own_side(figures):
    """3 ms keeps a limit of 5 ms; 200,000 spans/s do not reach 300,000."""
    assert [figure.is_met for figure in figures] == [True, False]


def test_results_are_written_and_read_back_into_the_page(figures, tmp_path):
    """The page shows every figure saved, its goal and whether it is met, and the machine."""
    from bench import report

    report.save("startup", figures, TAKEN, tmp_path)
    page = report.page(tmp_path)
    assert "| delivered | rota | 13.0 (12.0–14.0) ms | +3.00 (+2.00–+4.00) ms | bare | ≤ 5 ms | yes |" in page
    assert "≥ 300,000 spans/s | 200,000 spans/s | **no** |" in page
    assert "A CPU, 2 cores" in page
    assert json.loads((tmp_path / "startup.json").read_text())["figures"][0]["judged"] == 3.0


def test_the_page_says_which_goals_were_not_measured(tmp_path):
    """Every goal has its row, measured or not."""
    from bench import report
    from bench.budgets import BUDGETS

    assert report.page(tmp_path).count("not measured yet") == len(BUDGETS)


def test_the_table_shows_every_figure(figures):
    """One line a figure under the headings."""
    from bench import report

    assert len(report.table(figures).splitlines()) == 1 + len(figures)


def test_turns_are_taken():
    """A round runs each contestant once, in order, after one unmeasured run of each."""
    from bench.figures import in_turn

    seen: list[str] = []

    def contestant(name: str, value: float) -> float:
        seen.append(name)
        return value

    assert in_turn(2, lambda: contestant("a", 1.0), lambda: contestant("b", 2.0)) == [(1.0, 1.0), (2.0, 2.0)]
    assert seen == ["a", "b"] * 3


def test_peers_are_pinned_by_version_alone():
    """The pins say name==version and name no index, path or address."""
    pins = [line for file in (TOP / "bench" / "peers").glob("*.txt") for line in file.read_text().splitlines()]
    assert len(pins) > 10
    assert [pin for pin in pins if not pin.replace("==", "").replace(".", "").replace("-", "").replace("_", "").isalnum()] == []


def test_without_arguments_everything_is_measured_in_full():
    """`make bench` takes no argument to measure all; a name or --quick narrows it; an unknown name is refused."""
    from bench import __main__ as program

    parse = program._parser().parse_args
    assert (parse([]).measurements, parse([]).effort) == ([], 1.0)
    assert (parse(["--quick", "ingest"]).measurements, parse(["--quick"]).effort) == (["ingest"], program.QUICK)
    with pytest.raises(SystemExit):
        parse(["nonsense"])


def test_the_page_of_costs_is_in_step_with_the_results():
    """What people read before they add the two lines is what was measured last."""
    from bench import cost, report

    assert cost.PAGE.read_text(encoding="utf-8") == cost.renew(report.RESULTS)


def test_the_page_of_costs_shows_only_what_was_measured(tmp_path):
    """A row without a figure is left out; peers stand beside ours; a difference has its sign."""
    from bench import cost, report
    from bench.figures import Figure

    ours = Figure("delivered to a collector", "rota", "ms", (13.0,), "bare", (10.0,), budget="startup.collector")
    theirs = Figure("delivered to an empty server", "logfire", "ms", (110.0,), "bare", (10.0,))
    report.save("startup", [ours, theirs], TAKEN, tmp_path)
    rows = [line for line in cost.table(tmp_path) if line.startswith("| ")][2:]
    assert rows == ["| Start and end, delivered to a collector on this machine | **+3.00 ms** | ≤ 5 ms |  |  | +100 ms |"]


def test_the_page_of_costs_puts_what_decides_beside_orchestrators(tmp_path):
    """Plain values, each with its unit; what one of them does not have is left empty."""
    from bench import cost, report
    from bench.figures import Figure

    ours = Figure("a task, p50", "rota", "µs", (7.0, 6.0, 8.0), "the function called", (0.1, 0.1, 0.1))
    theirs = Figure("a task, p50", "DBOS", "µs", (2366.0,), "rota", (7.0,), "ratio")
    gated = Figure("a run of nothing, gated", "rota", "ms", (40.0,), "python -c pass", (18.0,))
    report.save("orchestrated", [ours, theirs, gated], TAKEN, tmp_path)
    heads, _, call, *_, run, _, on = cost.decided(tmp_path)
    assert heads == "|  | rota | Prefect | Dagster | DBOS | Temporal |"
    assert call == "| A function, each call, p50 | 7.00 µs |  |  | 2,366 µs |  |"
    assert run == "| A process with a run of nothing | 40.0 ms |  |  |  |  |"
    assert on.endswith("Load of the machine before: 0.1.")
