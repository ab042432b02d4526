"""The contract of all observers, as a whole; what each system does is in ``observers/test_<system>.py``."""

from __future__ import annotations

from pathlib import Path

from observers import SYSTEMS
from observers.contract import EXPECTED

MODULES = {path.stem for path in (Path(__file__).parents[1] / "observers").glob("*.py")} - {"__init__", "contract", "system"}


def test_every_system_says_why_it_leaves_a_scenario_out() -> None:
    """And names none that there is not."""
    for system in SYSTEMS.values():
        assert set(system.except_for) | set(system.instead) | set(system.together) | set(system.soak) <= set(EXPECTED)
        assert all(system.except_for.values())


def test_every_system_is_held_to_the_contract() -> None:
    """Each has its file of tests."""
    tests = {path.stem.removeprefix("test_") for path in (Path(__file__).parent / "observers").glob("test_*.py")}
    assert tests == MODULES
