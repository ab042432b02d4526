"""Dashboards over collectors: one with history for all who only look, fresh ones for the others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.history import make
from collectors import CollectorProcess
from looking import Looked, dashboard


@pytest.fixture(scope="session")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    """A dashboard over three days of history, hostile names among them."""
    folder = tmp_path_factory.mktemp("looked")
    story = make(folder / "collector", days=3, workflows=14, large=True, hostile=True)
    collector = CollectorProcess(folder / "collector", folder / "collector.stderr").start()
    with dashboard(collector.addresses["http"], folder) as url:
        yield Looked(url, collector, story)
    collector.close()


@pytest.fixture
def fresh(collector: CollectorProcess, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a dashboard over an empty collector; its address."""
    with contextlib.ExitStack() as opened:
        yield lambda **settings: opened.enter_context(dashboard(collector.addresses["http"], tmp_path, **settings))
