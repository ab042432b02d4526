"""Dashboards over collectors: one with history for all who only look, fresh ones for the others."""

from __future__ import annotations

import contextlib
import fcntl
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bench.history import Story, make
from collectors import CollectorProcess
from looking import Looked, dashboard


@pytest.fixture(scope="session")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    """A dashboard over three days of history, hostile names among them."""
    folder = tmp_path_factory.mktemp("looked")
    story = _told(tmp_path_factory.getbasetemp().parent / "history", folder / "collector")
    collector = CollectorProcess(folder / "collector", folder / "collector.stderr").start()
    with dashboard(collector.addresses["http"], folder) as url:
        yield Looked(url, collector, story)
    collector.close()


def _told(made: Path, home: Path) -> Story:
    """A copy of the history: making it takes ten seconds, which the first of several processes does for all."""
    with open(made.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept := made.with_suffix(".story")).exists():
            kept.write_bytes(pickle.dumps(make(made, days=3, workflows=14, large=True, hostile=True)))
    shutil.copytree(made, home)
    story: Story = pickle.loads(kept.read_bytes())
    return story


@pytest.fixture
def fresh(collector: CollectorProcess, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a dashboard over an empty collector; its address."""
    with contextlib.ExitStack() as opened:
        yield lambda **settings: opened.enter_context(dashboard(collector.addresses["http"], tmp_path, **settings))
