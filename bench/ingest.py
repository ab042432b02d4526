"""Requests of 512 spans with 8 attributes, protobuf: how many spans a second are acknowledged, and how many can be queried;
and what rotel and Phoenix make of the same requests.

The goal is for a store that holds 20 M spans already; a short pass measures an empty one, and its notes say so.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from bench import processes, receivers, servers
from bench.figures import Figure, share
from bench.small_requests import EMPTY, load
from bench.startup import PROGRAMS

SPANS = 512  # a request, as programs/payloads.py makes them
_ROUNDS, _REQUESTS, _CONNECTIONS = 3, 1000, 8
_STORED = 20_000_000
_BATCH = 64  # requests a transaction of the Arrow insert
_APPLIED_SECONDS = 150
_PHOENIX_REQUESTS = 2  # it stores about 100 spans a second


def measure(effort: float) -> list[Figure]:
    """The collector, an empty server and a bare Arrow insert in turn, with the same spans."""
    requests = share(_REQUESTS, effort, least=4)
    with processes.scratch() as work:
        home = work / "server"
        seeded = _seed(home, requests)
        bytes_a_span = _size(home / "telemetry.duckdb") / seeded
        stored = fill(home / "telemetry.duckdb", _STORED) if effort >= 1 else seeded
        rounds = _in_turn(home, work, share(_ROUNDS, effort, least=1), requests)
        behind = _phoenix(work)
    return [*_figures(rounds, requests, stored), _stored_bytes(bytes_a_span, seeded), *_behind(rounds, behind)]


def _seed(home: Path, requests: int) -> int:
    """A first, unmeasured round: it makes the store, and what a clean stop leaves of it tells the bytes. Spans stored."""
    with servers.collector(home) as collector:
        send_and_see(collector, requests)
    return requests * SPANS


def fill(store: Path, rows: int) -> int:
    """Multiply the spans of a stopped collector until there are so many, or it takes too long; how many there are."""
    command = [sys.executable, str(PROGRAMS / "fill_store.py"), str(store), str(rows)]
    return int(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)


def _in_turn(home: Path, work: Path, rounds: int, requests: int) -> list[tuple[float, float, float, float, float]]:
    """(acknowledged, applied, empty server, Arrow insert, rotel), each in spans a second, once a round."""
    with servers.collector(home) as collector, servers.nothing() as port, receivers.rotel(work) as rotel:
        return [
            (
                *send_and_see(collector, requests),
                requests * SPANS / load(port, "spans", requests, _CONNECTIONS)["seconds"],
                requests * SPANS / _insert_seconds(work / f"arrow-{number}.duckdb", requests),
                requests * SPANS / load(rotel.port, "spans", requests, _CONNECTIONS)["seconds"],
            )
            for number in range(rounds)
        ]


def send_and_see(collector: servers.Collector, requests: int) -> tuple[float, float]:
    """Send so many requests; spans acknowledged a second, and spans a second from the first sent to the last one counted."""
    spans, before = requests * SPANS, collector.count("spans")
    sent = load(collector.port, "spans", requests, _CONNECTIONS)
    acknowledged_at = time.perf_counter()
    while not (collector.is_caught_up() and collector.count("spans") == before + spans):
        if time.perf_counter() - acknowledged_at > _APPLIED_SECONDS:
            raise RuntimeError(f"{collector.count('spans') - before} of {spans} spans can be counted after {_APPLIED_SECONDS} s")
        time.sleep(0.05)
    seen = sent["seconds"] + time.perf_counter() - acknowledged_at
    return spans / sent["seconds"], spans / seen


def _insert_seconds(file: Path, requests: int) -> float:
    command = [sys.executable, str(PROGRAMS / "insert_arrow.py"), str(file), str(requests), str(_BATCH)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=300).stdout)


def _size(store: Path) -> int:
    """With the write-ahead log, which a clean stop should have emptied. Raises FileNotFoundError."""
    log = store.with_name(store.name + ".wal")
    return store.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _phoenix(work: Path) -> tuple[float, float]:
    """(acknowledged, stored), each in spans a second. Once: it takes a span id that it has seen for the same span."""
    spans = _PHOENIX_REQUESTS * SPANS
    with receivers.phoenix(work) as phoenix:
        sent = load(phoenix.port, "spans", _PHOENIX_REQUESTS, _PHOENIX_REQUESTS)["seconds"]
        return spans / sent, spans / (sent + receivers.seconds_until_stored(phoenix, spans))


def _behind(rounds: list[tuple[float, ...]], phoenix: tuple[float, float]) -> list[Figure]:
    """The peers' rows, held against ours."""
    acknowledged, applied, _, _, rotel = zip(*rounds, strict=True)
    answered, stored = phoenix
    return [
        Figure("acknowledged", "rotel", "spans/s", rotel, "rota, on disk", acknowledged, "ratio", note="kept nowhere"),
        Figure(
            "acknowledged", "Phoenix", "spans/s", (answered,), "rota, on disk", acknowledged[:1], "ratio", note="kept in memory"
        ),
        Figure("stored", "Phoenix", "spans/s", (stored,), "rota, applied and queryable", applied[:1], "ratio", note="SQLite"),
    ]


def _figures(rounds: list[tuple[float, ...]], requests: int, stored: int) -> list[Figure]:
    acknowledged, applied, empty, insert, _ = zip(*rounds, strict=True)
    note = f"{requests:,} requests of {SPANS} spans a round; {stored:,} spans stored before"
    arrow = "inserting the ready Arrow tables"
    return [
        Figure("acknowledged", "rota", "spans/s", acknowledged, EMPTY, empty, "ratio", "ingest.acknowledged", False, note),
        Figure("applied and queryable", "rota", "spans/s", applied, arrow, insert, "ratio", "ingest.applied", False, note),
        Figure("share of the Arrow insert", "rota", "spans/s", applied, arrow, insert, "ratio", "ingest.share", True, note),
    ]


def _stored_bytes(found: float, spans: int) -> Figure:
    note = f"telemetry.duckdb after a clean stop with {spans:,} spans; base: the request's protobuf"
    return Figure(
        "stored bytes a span", "rota", "B", (found,), "protobuf", (_sent_bytes(),), "ratio", "ingest.bytes", False, note
    )


def _sent_bytes() -> float:
    code = "import payloads; print(len(payloads.span_bodies(1)[0]) / payloads.SPANS)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROGRAMS, stdout=subprocess.PIPE, check=True, timeout=60)
    return float(done.stdout)
