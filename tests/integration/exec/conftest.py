"""Fixtures of the `rota exec` tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import PYTHONS


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A rota home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture(params=list(PYTHONS), ids=lambda version: "py" + version)
def python(request: pytest.FixtureRequest) -> str:
    """Each CPython found on this machine."""
    return PYTHONS[request.param]
