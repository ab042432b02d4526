"""What every room stands on: the system's package in a version that works, and a table of its states."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

import rota_integrations
from rota_integrations.needs import needed
from rota_integrations.states import State, Table, table_of

ROOMS = sorted(path.parent.name for path in Path(rota_integrations.__file__).parent.glob("*/states.json"))


def test_a_package_that_is_there_is_the_room_s() -> None:
    """As its module."""
    assert needed("step-functions", "boto3", "1.34").__name__ == "boto3"


def test_a_package_that_is_missing_is_said_with_the_extra_that_brings_it() -> None:
    """So that one line mends it."""
    with pytest.raises(ImportError, match=r"cannot import no_such_module.*pip install 'rota\[some-system\]'"):
        needed("some-system", "no_such_module", "1.0")


@pytest.mark.parametrize(
    ("version", "is_fine"), [("1.33.9", False), ("1.34", True), ("1.34.0rc1", True), ("2.0", True), ("0.99", False)]
)
def test_a_package_that_is_too_old_is_refused_with_both_versions(
    version: str, is_fine: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than to fail in the middle of somebody's run."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _: version)
    if is_fine:
        needed("step-functions", "boto3", "1.34")
    else:
        with pytest.raises(ImportError, match=rf"needs boto3 1.34; {version} is installed: pip install 'rota\[step-functions\]'"):
            needed("step-functions", "boto3", "1.34")


@pytest.mark.parametrize("room", ROOMS)
def test_the_table_of_a_room_has_states_of_ours_only(room: str) -> None:
    """It is checked as it is read."""
    assert table_of(room).of_run("no such word").reason == "unknown state no such word"


def test_a_word_is_found_however_it_is_written_and_kept_as_it_was() -> None:
    """With the reason that the table gives."""
    table = Table({"run": {"Late": "scheduled(late)"}, "task": {}})
    assert table.of_run("LATE") == State("scheduled", "late", "LATE")
    assert table.of_task("Late") == State("running", "unknown state Late", "Late")
    assert table.of_run("Gone", is_over=True) == State("ended", "unknown state Gone", "Gone")


@pytest.mark.parametrize("said", ["done", "running(", "running()", ""])
def test_a_table_with_a_state_that_there_is_not_is_refused(said: str) -> None:
    """With those that there are."""
    with pytest.raises(ValueError, match="is no state: there are scheduled"):
        Table({"run": {"X": said}})
