"""Fixtures of the SDK tests: a fresh home, and every interpreter in turn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest
from scripts import PYTHONS, WITHOUT, Outcome, run_script

_ADDRESS = re.compile(rb"0x[0-9a-f]+")


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


@pytest.fixture
def same(home: Path, python: str) -> Callable[..., Outcome]:
    """Run a script as it is, and with an empty module in the place of rota: they must not be told apart, but by addresses.

    Returns what rota kept of it.
    """

    def call(source: str, *, environment: dict[str, str] | None = None, **options: Any) -> Outcome:
        observed = run_script(source, home, python, environment=environment, **options)
        alone = {**(environment or {}), "PYTHONPATH": str(WITHOUT)}
        undisturbed = run_script(source, home.parent / "alone", python, environment=alone, **options)
        told = [(one.code, _ADDRESS.sub(b"0x", one.stdout), _ADDRESS.sub(b"0x", one.stderr)) for one in (observed, undisturbed)]
        assert told[0] == told[1]
        return observed

    return call
