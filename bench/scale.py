"""A collector with a million runs and 20 M spans: how it starts, what it holds, how it answers while it ingests, and whether
acknowledgements wait for a backup or for the file that is written anew.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from bench import processes, servers
from bench.figures import Figure, share
from bench.ingest import SPANS as SPANS_A_REQUEST
from bench.page import RUNS, SPANS, WORKFLOWS
from bench.startup import PROGRAMS

_ASKED, _SECONDS = 40, 20
_EVENTS, _SPAN_REQUESTS = 200, 20  # a second: run events of a fleet; requests of 512 spans, 10,000 spans in all
_SETTLE_SECONDS = 5
_SCANS = (
    "SELECT count(*) FROM spans WHERE name LIKE '%none%'",
    "SELECT count(*) FROM spans WHERE trace_id = '5b8efff7-9803-8103-d269-b633813fc60c'",
    "SELECT count(DISTINCT workflow), max(duration_ns) FROM spans",
)
_LISTS = {
    "runs": "/api/v1/runs?limit=100",
    "runs of a workflow": "/api/v1/runs?workflow=team00.job0000&limit=100",
    "failed runs": "/api/v1/runs?state=failed&limit=100",
    "runs by text": "/api/v1/runs?q=refused&limit=100",
    "workflows": "/api/v1/workflows?limit=100",
    "slots": "/api/v1/slots?workflow=team00.job0000&limit=200",
    "incidents": "/api/v1/incidents?state=open",
    "spans of a workflow": "/api/v1/spans?workflow=team00.job0000&limit=100",
    "logs of a workflow": "/api/v1/logs?workflow=team00.job0000&limit=100",
}


def measure(effort: float) -> list[Figure]:
    """Everything in one life of one home, but for the starts."""
    sizes = [share(RUNS, effort, 20_000), WORKFLOWS, share(SPANS, effort, 100_000)]
    note = f"{sizes[0]:,} runs, {sizes[2]:,} spans"
    seconds = share(_SECONDS, effort, 10)
    with processes.scratch() as work:
        home = work / "server"
        home.mkdir()
        subprocess.run(
            [sys.executable, str(PROGRAMS / "fill_home.py"), str(home), *map(str, sizes)], stdout=subprocess.DEVNULL, check=True
        )
        figures = _starts(home, work, share(5, effort), note)
        with servers.collector(home) as collector:
            time.sleep(_SETTLE_SECONDS)
            idle = _memory_mb(collector)
            quiet = _answers(collector, iter([True] * share(_ASKED, effort, 5) + [False]).__next__)
            with _sending(collector, "spans", _SPAN_REQUESTS, seconds) as sender:
                time.sleep(_SETTLE_SECONDS)  # it makes its requests first
                busy = _answers(collector, lambda: sender.poll() is None)
            with _sending(collector, "spans", _SPAN_REQUESTS, seconds) as sender:
                held = _most_held(collector, lambda: sender.poll() is None)
            figures += [
                _memory("idle", idle, "scale.idle", note),
                _memory("while it ingests and SQL reads whole tables", held, "scale.load", note),
            ]
            figures += _lists(quiet, busy, note)
            figures += _acknowledged(collector, work, seconds, note)
    return figures


# -- start and memory ------------------------------------------------------------------------------------------------------


def _starts(home: Path, work: Path, rounds: int, note: str) -> list[Figure]:
    def seconds(directory: Path) -> float:
        began = time.monotonic()
        with servers.collector(directory):
            return time.monotonic() - began

    empty = work / "empty"
    seconds(empty), seconds(home)  # cold files
    pairs = [(seconds(empty), seconds(home)) for _ in range(rounds)]
    base, taken = zip(*pairs, strict=True)
    return [Figure("start, until it is ready", "rota", "s", taken, "an empty home", base, "ratio", "scale.start", False, note)]


def _memory(when: str, found: tuple[float, float], budget: str, note: str) -> Figure:
    said = f"front, keeper and sender; compared with what is not a file's and cannot be dropped; {note}"
    return Figure(f"memory {when}", "rota", "MB", found[:1], "anonymous", found[1:], "ratio", budget, False, said)


def _memory_mb(collector: servers.Collector) -> tuple[float, float]:
    """(proportional set size, anonymous part) of all its processes."""
    totals = [0.0, 0.0]
    for pid in _family(collector.process.pid):
        with contextlib.suppress(OSError):  # it ended
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, rest = line.partition(":")
                if name in ("Pss", "Pss_Anon"):
                    totals[name == "Pss_Anon"] += int(rest.split()[0]) / 1024
    return totals[0], totals[1]


def _most_held(collector: servers.Collector, is_going_on: Callable[[], bool]) -> tuple[float, float]:
    """The most memory that it had between queries which leave as many pages of tables in memory as it lets them."""
    most = (0.0, 0.0)
    while is_going_on():
        for query in _SCANS:
            collector.ask("/api/v1/sql", {"query": query})
            most = max(most, _memory_mb(collector))
    return most


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


# -- reading ---------------------------------------------------------------------------------------------------------------


def _answers(collector: servers.Collector, is_going_on: Callable[[], bool]) -> dict[str, list[float]]:
    """By list, how many milliseconds each answer took."""
    taken: dict[str, list[float]] = {name: [] for name in _LISTS}
    while is_going_on():
        for name, path in _LISTS.items():
            began = time.perf_counter()
            collector.ask(path)
            taken[name].append((time.perf_counter() - began) * 1000)
    return taken


def _lists(quiet: dict[str, list[float]], busy: dict[str, list[float]], note: str) -> list[Figure]:
    said = f"{_SPAN_REQUESTS * SPANS_A_REQUEST:,} spans a second come in; {note}"

    def figure(name: str, values: list[float], base: list[float], budget: str | None = None) -> Figure:
        found = (_percentile(values, 0.95),), "quiet", (_percentile(base, 0.95),)
        return Figure(f"{name}, p95 while it ingests", "rota", "ms", *found, "ratio", budget, False, said)

    every = figure("all lists", [*chain(*busy.values())], [*chain(*quiet.values())], "scale.p95")
    return [every, *(figure(name, busy[name], quiet[name]) for name in _LISTS)]


def _percentile(values: list[float], which: float) -> float:
    return sorted(values)[int(which * (len(values) - 1))]


# -- acknowledgements --------------------------------------------------------------------------------------------------------


def _acknowledged(collector: servers.Collector, work: Path, seconds: float, note: str) -> list[Figure]:
    """While nothing else happens, while a backup is made, and while the file is written anew."""
    jobs = {"while a backup is made": ["backup", str(work / "backup")], "while telemetry.duckdb is written anew": ["vacuum"]}
    quiet = _events(collector, seconds)
    figures = []
    for name, job in jobs.items():
        command = [sys.executable, "-m", "rota", "collector", *job]
        with subprocess.Popen(command, env=servers.inherited() | {"ROTA_HOME": str(collector.home)}) as working:
            found = _events(collector, seconds)
            working.wait()
        said = f"{_EVENTS} run events a second for {seconds:g} s; longest {found['max_ms']:.1f} ms; {note}"
        p99 = (found["p99_ms"],), "nothing else", (quiet["p99_ms"],)
        figures.append(Figure(f"acknowledged {name}, p99", "rota", "ms", *p99, "ratio", "scale.acks", False, said))
    return figures


def _events(collector: servers.Collector, seconds: float) -> dict[str, float]:
    with _sending(collector, "events", _EVENTS, seconds) as sender:
        told: dict[str, float] = json.loads(sender.communicate()[0])
    return told


@contextlib.contextmanager
def _sending(collector: servers.Collector, kind: str, rate: float, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Requests at a steady rate."""
    command = [sys.executable, str(PROGRAMS / "paced.py"), str(collector.port), kind, str(rate), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as sender:
        yield sender
    if sender.returncode:
        raise RuntimeError(f"not every request of {kind} was acknowledged")
