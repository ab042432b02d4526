"""Temporal, from inside a worker: shut in, beside an observer from outside, and in its own spans."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from collectors import clean_environment
from observed import Seen, seen
from observers.system import program


def told(scenarios: str, folder: Path, **settings: str) -> list[Seen]:
    """What comes of them in a server of their own."""
    home = folder / "home"
    nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": str(home)}
    program("temporal", **settings)(scenarios, folder, clean_environment(**nobody))
    assert not (home / "errors.jsonl").exists(), (home / "errors.jsonl").read_text()
    return seen(home)


def test_a_worker_and_an_observer_tell_one_run(tmp_path: Path) -> None:
    """Also where workflows are shut in, as Temporal does unless it is told not to: ids are those of the server."""
    runs = told("success retry", tmp_path, OBSERVED="both", SANDBOX="yes")
    assert [(run.workflow, run.states) for run in runs] == [(name, ["running", "succeeded"]) for name in ("success", "retry")]
    for run in runs:
        assert Counter(run.raw) == {"RUNNING": 2, "COMPLETED": 2}
    (attempts,) = runs[1].tasks["extract"].attempts.values()
    assert attempts == {1: "failed", 2: "succeeded"}


@pytest.mark.soak
def test_what_goes_on_as_new_is_told_by_a_worker_as_another_run(tmp_path: Path) -> None:
    """And of a termination, which comes to pass at the server, it sees no end."""
    runs = told("again terminate", tmp_path, OBSERVED="inside")
    assert [(run.workflow, run.raw) for run in runs] == [
        ("again", ["RUNNING", "CONTINUED_AS_NEW"]), ("again", ["RUNNING", "COMPLETED"]), ("terminate", ["RUNNING"]),
    ]  # fmt: skip
