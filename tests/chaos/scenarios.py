"""What a collector is doing when something happens to it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple, Protocol

import httpx
from chaos.faults import FaultyCollector
from chaos.oracle import Oracle, is_settled
from collectors import until

from rota_collector.clock import SystemClock
from rota_collector.journal import Journal, Signal

PATIENCE_SECONDS = 600.0  # with a collector that lives: campaigns run beside other work, and at its mercy
_SEGMENT_BYTES = 64 << 20  # from which on the journal begins another


class Died(Exception):
    """The collector ended in the middle of it."""


class Play(Protocol):
    """What happens while a collector lives, and may be ended by its death."""

    def __call__(self, collector: FaultyCollector, oracle: Oracle) -> None: ...


class Scenario(NamedTuple):
    """``prepare`` changes the home before each life, in ``play`` the fault comes; ``is_fresh``: each life has a new home;
    ``once_ready``: no fault comes before the collector is.
    """

    name: str
    prepare: Play
    play: Play
    is_fresh: bool = False
    once_ready: bool = False


def begin(collector: FaultyCollector) -> None:
    """Start the process and wait until it is ready. Raises ``Died``."""
    process = collector.spawn()

    def is_ready() -> bool:
        if collector.died():
            raise Died
        with contextlib.suppress(httpx.TransportError, AssertionError):
            return collector.listens(process) and collector.get("/readyz").status_code == 200
        return False

    until(is_ready, "the collector to be ready, or to die", PATIENCE_SECONDS)
    collector.is_ready()


def end(collector: FaultyCollector) -> int | None:
    """End whatever still runs, at once; its exit status when it had ended by itself."""
    assert collector.process is not None
    status = collector.process.poll()
    collector.kill()
    return status


def _nothing(_collector: FaultyCollector, _oracle: Oracle) -> None:
    return None


def _ship(many: int) -> Play:
    def play(collector: FaultyCollector, oracle: Oracle) -> None:
        begin(collector)
        for one in oracle.unanswered():
            oracle.deliver(collector, one)
        oracle.ship(collector, many)
        _catch_up(collector)

    return play


def _catch_up(collector: FaultyCollector) -> None:
    """Until both stores have everything. Raises ``Died``."""

    def is_done() -> bool:
        if collector.died():
            raise Died
        with contextlib.suppress(httpx.TransportError, KeyError, ValueError):
            return is_settled(collector)
        return False

    until(is_done, "the stores to catch up, or to die", PATIENCE_SECONDS)


def _ship_and_stop(collector: FaultyCollector, oracle: Oracle) -> None:
    """A clean stop: DuckDB and SQLite move what their write-ahead logs hold into their files."""
    _ship(3)(collector, oracle)
    assert collector.process is not None
    collector.process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        collector.process.wait(PATIENCE_SECONDS)


def _fill_segment(collector: FaultyCollector, _oracle: Oracle) -> None:
    """As if the journal had come to the end of a segment: whatever is appended next begins another."""
    home = collector.home / "journal"
    last = max(home.glob("*.journal"), default=None)
    missing = _SEGMENT_BYTES - (last.stat().st_size if last else 0)
    if missing > 0:
        journal = Journal(home, clock=SystemClock())
        journal.append_blocking(Signal.LOGS_JSON, b"{" + b" " * missing + b"}")
        journal.close()


def _spoil_telemetry(collector: FaultyCollector, _oracle: Oracle) -> None:
    """A DuckDB file that does not open."""
    path = collector.home / "telemetry.duckdb"
    if path.exists():
        with path.open("r+b") as file:
            file.write(b"\0" * 4096 * 3)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("creation", _nothing, _ship(4), is_fresh=True),
        Scenario("restart", _nothing, _ship(4)),
        Scenario("ingest", _nothing, _ship(16), once_ready=True),
        Scenario("checkpoint", _nothing, _ship_and_stop, once_ready=True),
        Scenario("roll", _fill_segment, _ship(4), once_ready=True),
        Scenario("rebuild", _spoil_telemetry, _ship(4)),
    )
}


def clear(home: Path) -> None:
    """A home that was never there."""
    shutil.rmtree(home, ignore_errors=True)
