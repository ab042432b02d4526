"""Fixtures that several kinds of tests share: collectors as real processes, each in a home of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collectors import CollectorProcess


@pytest.fixture
def new_collector(tmp_path: Path) -> Iterator[Callable[..., CollectorProcess]]:
    """Makes collectors (not started) in fresh homes, or in the ``home`` given; whatever still runs at the end is killed."""
    made: list[CollectorProcess] = []
    numbers = itertools.count()

    def make(home: Path | None = None, **settings: str) -> CollectorProcess:
        number = next(numbers)
        made.append(CollectorProcess(home or tmp_path / f"home{number}", tmp_path / f"collector{number}.stderr", **settings))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


@pytest.fixture
def collector(new_collector: Callable[..., CollectorProcess]) -> CollectorProcess:
    """A collector that is ready and empty."""
    return new_collector().start()


@pytest.fixture(scope="module")
def shared_collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    """A collector for all tests of a module: they only read, or write what disturbs nobody."""
    folder = tmp_path_factory.mktemp("shared")
    found = CollectorProcess(folder / "home", folder / "collector.stderr").start()
    yield found
    found.close()
