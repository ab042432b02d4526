"""One contract for all observers: the same scenario in any system is told alike.

Each system's module here has a file of tests in ``contract/observers``, as they take their time, and files are what is divided
among processes.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from collectors import clean_environment
from observed import Seen, seen

from observers.system import PROGRAMS, System

EXPECTED: dict[str, dict[str, Any]] = tomllib.loads((PROGRAMS.parent / "expected.toml").read_text())


def scenarios(module: str) -> Callable[..., None]:
    """The test of all systems of a module, by each scenario that they can do."""
    systems: dict[str, System] = importlib.import_module(f"observers.{module}").SYSTEMS
    done_together: dict[str, list[Seen]] = {}

    @pytest.mark.parametrize(("name", "scenario"), list(_cases(systems)))
    def test(name: str, scenario: str, tmp_path: Path) -> None:
        """States of the run and its tasks, attempts, errors and schedules."""
        system = systems[name]
        if scenario in system.together:
            if name not in done_together:
                done_together[name] = told(system, " ".join(system.together), tmp_path)
            (run,) = (each for each in done_together[name] if each.workflow == scenario)
        else:
            (run,) = told(system, scenario, tmp_path)
        expected = EXPECTED[scenario] | system.instead.get(scenario, {})
        holds(run, expected)
        if system.tells_schedules and "declares" in expected:
            assert as_declared(run.scheduled) == expected["declares"]

    return test


def _cases(systems: dict[str, System]) -> Any:
    for name, system in systems.items():
        for scenario in [each for each in EXPECTED if each not in system.except_for]:
            marks = [pytest.mark.soak] if scenario in system.soak else []
            yield pytest.param(name, scenario, id=f"{name}: {scenario}", marks=marks)


def told(system: System, scenarios: str, folder: Path) -> list[Seen]:
    """The runs that were told while the system did it."""
    home = folder / "home"
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
    system.run(scenarios, folder, clean_environment(**nobody))
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
        assert as_declared(run.declared) == expected["declares"]


def as_declared(said: dict[str, Any]) -> dict[str, Any]:
    """As the table has it."""
    return {"cron": said.get("schedule"), "tz": said.get("tz")}
