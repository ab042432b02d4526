"""Fixtures of the SDK tests: a fresh home, and every interpreter in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from scripts import PYTHONS, Outcome, run_script


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A rota home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture(params=list(PYTHONS), ids=lambda version: "py" + version)
def python(request: pytest.FixtureRequest) -> str:
    """Each CPython found on this machine."""
    return PYTHONS[request.param]


@pytest.fixture
def run(home: Path, python: str) -> Callable[..., Outcome]:
    """Run a script under that interpreter, and fail the test when rota swallowed an error of its own."""

    def call(source: str, **options: Any) -> Outcome:
        outcome = run_script(source, home, python, **options)
        assert outcome.errors == ""
        return outcome

    return call
