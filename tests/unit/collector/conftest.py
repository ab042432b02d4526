"""Fixtures of the stores' tests: a journal and a telemetry store that can be opened again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import journals
import pytest
import telemetries
from rooms import Rooms

from rota_collector.clock import ManualClock
from rota_collector.journal import Journal
from rota_collector.store.telemetry import Telemetry


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[journals.Opener]:
    """Opens journals in one directory, and closes them at the end."""
    opened: list[Journal] = []

    def open_one(**options: Any) -> Journal:
        opened.append(Journal(tmp_path / "journal", clock=ManualClock(), **options))
        return opened[-1]

    yield open_one
    for journal in opened:
        journal.close()


@pytest.fixture
def open_telemetry(tmp_path: Path) -> Iterator[telemetries.Opener]:
    """Opens the same database each time; closes what is still open at the end."""
    opened: list[Telemetry] = []

    def open_one() -> Telemetry:
        for store in opened:
            store.close()
        opened[:] = [Telemetry.open(tmp_path / "telemetry.duckdb", memory=200_000_000, threads=1)]
        return opened[0]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_telemetry: telemetries.Opener) -> Telemetry:
    """A telemetry store, open and empty."""
    return open_telemetry()


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    """A waiting room that takes its turns when it is told to."""
    made = Rooms(tmp_path)
    yield made
    made.stores.control.close()
