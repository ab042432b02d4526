"""One contract for all observers: the same scenario in any system is told alike."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment
from observed import Seen, seen
from observers import SYSTEMS

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((Path(__file__).parent / "observers" / "expected.toml").read_text())
CASES = [(system, scenario) for system in SYSTEMS for scenario in EXPECTED if scenario not in SYSTEMS[system].except_for]
_told: dict[str, list[Seen]] = {}


@pytest.mark.parametrize(
    ("system", "scenario"),
    [
        pytest.param(
            *(system, scenario),
            id=f"{system}: {scenario}",
            marks=[pytest.mark.soak] if scenario in SYSTEMS[system].soak else [],
        )
        for system, scenario in CASES
    ],
)
def test_a_scenario_is_told_as_the_table_says(system: str, scenario: str, tmp_path: Path) -> None:
    """States of the run and its tasks, attempts, errors and schedules."""
    if scenario in SYSTEMS[system].together:
        if system not in _told:
            _told[system] = told(system, " ".join(SYSTEMS[system].together), tmp_path)
        (run,) = (each for each in _told[system] if each.workflow == scenario)
    else:
        (run,) = told(system, scenario, tmp_path)
    holds(run, EXPECTED[scenario] | SYSTEMS[system].instead.get(scenario, {}))


def told(system: str, scenarios: str, folder: Path) -> list[Seen]:
    """The runs that were told while the system did it."""
    home = folder / "home"
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
    SYSTEMS[system].run(scenarios, folder, clean_environment(**nobody))
    assert not (home / "errors.jsonl").exists(), (home / "errors.jsonl").read_text()
    return seen(home)


def holds(run: Seen, expected: dict[str, Any]) -> None:
    """The run is as the table says."""
    assert run.states == expected["run"]
    for name, state in expected.get("tasks", {}).items():
        assert run.tasks[name].last == {state}, name
    for name, states in expected.get("attempts", {}).items():
        (attempts,) = run.tasks[name].attempts.values()
        assert [attempts[number] for number in sorted(attempts)] == states
    for name, error in expected.get("error", {}).items():
        assert error in run.tasks[name].errors
    for name, parts in expected.get("parts", {}).items():
        assert len(run.tasks[name].attempts) == parts
    if "declares" in expected:
        assert {"cron": run.declared.get("schedule"), "tz": run.declared.get("tz")} == expected["declares"]


def test_every_system_says_why_it_leaves_a_scenario_out() -> None:
    """And names none that there is not."""
    for system in SYSTEMS.values():
        assert set(system.except_for) | set(system.instead) <= set(EXPECTED)
        assert all(system.except_for.values())
