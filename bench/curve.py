"""How the collector goes on as its store grows: spans applied a second, and the file, from 1 M to 50 M spans."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from bench import ingest, processes, servers
from bench.figures import Figure, share

_SIZES = (1_000_000, 5_000_000, 20_000_000, 50_000_000)
_REQUESTS = 600


class Point(NamedTuple):
    """A store of so many spans."""

    stored: int
    applied: float  # spans a second
    bytes_a_span: float


def measure(effort: float) -> list[Figure]:
    """The same store, grown in between; each point is compared with the first."""
    requests = share(_REQUESTS, effort, least=10)
    with processes.scratch() as work:
        home = work / "server"
        with servers.collector(home) as collector:
            ingest.send_and_see(collector, requests)
        points = [_point(home, share(size, effort, least=50_000), requests) for size in _SIZES]
    first = points[0]
    return [
        figure
        for point in points
        for figure in (
            _figure(f"applied, {point.stored:,} stored", "spans/s", point.applied, first.applied),
            _figure(f"bytes a span, {point.stored:,} stored", "B", point.bytes_a_span, first.bytes_a_span),
        )
    ]


def _point(home: Path, size: int, requests: int) -> Point:
    store = home / "telemetry.duckdb"
    stored = 0
    while stored < size:  # it gives up after a while
        stored = ingest.fill(store, size)
    bytes_a_span = store.stat().st_size / stored
    with servers.collector(home) as collector:
        _, applied = ingest.send_and_see(collector, requests)
    return Point(stored, applied, bytes_a_span)


def _figure(name: str, unit: str, value: float, first: float) -> Figure:
    return Figure(name, "rota", unit, (value,), "the smallest store", (first,), "ratio")
