"""Every gate × with an agent or without × what a collector or the network does instead of answering × each way to run: what must
come of it, and a host on which it does.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from agents import agent
from chaos.between import FAULTS, WELL, Between
from collectors import CollectorProcess, clean_environment, until
from servers import poll

from rota.agent import policies

PROMISED_SECONDS = 4.0  # for the first answer
GENEROUS_SECONDS = 14.0  # more, on a machine that does other things too; nobody may wait for as long as a held question
SAYS = ("go", "skip", "deny", "wait(1s)")
WAYS = ("exec", "watch", "function")
CODE = 3
OUT, ERR = "body\n", "by the way\n"

_SCRIPT = """
import sys, rota
rota.watch({name!r})
print("body"); print("by the way", file=sys.stderr)
sys.exit(3)
"""
_PERMITTED = """
import sys, rota
rota.watch({name!r})
def load(): return "body"
try:
    print(load())
except rota.GateDenied:
    print("denied")
print("by the way", file=sys.stderr)
sys.exit(3)
"""


class Expected(NamedTuple):
    """What comes of it: the last blind answer; the job's, or that there was none of it; the state of its run."""

    answer: str
    code: int
    out: str
    err: str
    state: str


_RAN = Expected("go", CODE, OUT, ERR, "failed")
_SKIPPED = Expected("skip", 0, "", "", "skipped")
_DENIED = Expected("deny", 75, "", r"rota.*: {name} may not run: .*\n", "cancelled")
_BY_WORD = {"go": _RAN, "skip": _SKIPPED, "deny": _DENIED, "wait(1s)": _DENIED}
# A function's word is its own: the script goes on.
_OF_FUNCTIONS = {
    "go": _RAN,
    "skip": _RAN._replace(answer="skip", out="None\n"),
    "deny": _RAN._replace(answer="deny", out="denied\n"),
    "wait(1s)": _RAN._replace(answer="deny", out="denied\n"),
}

# What only the collector can tell: ``on_unreachable`` decides. What the host can tell itself: as it is.
_FAR: dict[str, Mapping[str, Any]] = {
    "concurrency": {"limit": 1},
    "rate": {"limit": 1, "per": "1h"},
    "upstream": {"workflow": "nobody"},
    "breaker": {"failures": 1},
    "approval": {},
}
_NEAR: dict[str, tuple[Mapping[str, Any], Expected]] = {
    "window-open": ({"kind": "window", "not": "1999-01-01", "on_unreachable": "deny"}, _RAN),
    "window-closed": ({"kind": "window", "only": "1999-01-01", "otherwise": "skip"}, _SKIPPED),
    "probe-well": ({"kind": "probe", "file": "/", "on_unreachable": "deny"}, _RAN),
    "probe-not": ({"kind": "probe", "file": "/no/such", "wait_at_most": "10ms", "on_unreachable": "go"}, _DENIED),
    "probe-unknown": ({"kind": "probe", "command": "nobody-registered-it", "on_unreachable": "skip"}, _SKIPPED),
    "host": ({"kind": "host", "disk_free": "1MB", "on_unreachable": "deny"}, _RAN),
    "python": ({"kind": "python", "call": "no-such-entry-point", "on_unreachable": "deny"}, _DENIED),
}

_RULE = {"when": "task('extract').rows == 0", "do": "deny('load')"}  # of facts that only the collector may know


class Cell(NamedTuple):
    """One of them. ``workflow`` is its own."""

    way: str
    gate: str
    says: str
    document: Mapping[str, Any]
    expected: Expected

    def at(self, place: Place) -> Cell:
        """What must come of it there: without rules an agent answers for a function by the policy, and needs nobody for that."""
        return self._replace(expected=_RAN) if place.has_agent and self.gate == "permit" else self

    @property
    def workflow(self) -> str:
        return re.sub(r"[()]", "", f"{self.way}.{self.gate}.{self.says}")


class Place(NamedTuple):
    """Where cells are tried together: on a host with an agent or without, whose collector does this."""

    has_agent: bool
    fault: str


def _cells() -> Iterator[Cell]:
    for way in WAYS[:2]:
        for (kind, terms), says in itertools.product(_FAR.items(), SAYS):
            gated = {"gates": [{"kind": kind, **terms, "on_unreachable": says}]}
            yield Cell(way, kind, says, gated, _BY_WORD[says])
        for name, (gate, expected) in _NEAR.items():
            yield Cell(way, name, "", {"gates": [gate]}, expected)
    for says in SAYS:
        document: dict[str, Any] = {"tasks": {"load": {"permit": True, "on_unreachable": says}}}
        yield Cell("function", "permit", says, document, _OF_FUNCTIONS[says])
        yield Cell("function", "rules", says, {**document, "rules": [_RULE]}, _OF_FUNCTIONS[says])


CELLS = list(_cells())
PLACES = [Place(has_agent, fault) for has_agent in (False, True) for fault in FAULTS]


class Tried(NamedTuple):
    """What came of a cell. ``problems``: in words."""

    cell: Cell
    seconds: float
    problems: list[str]


class Host:
    """A home, and a network between it and a collector, which has the policies of all cells."""

    def __init__(self, folder: Path, collector: CollectorProcess) -> None:
        self._folder, self._collector = folder, collector
        self._home = folder / "home"
        self._home.mkdir(parents=True)
        self._between = Between(collector.addresses["http"])
        self.environment = clean_environment(
            ROTA_HOME=str(self._home), ROTA_ENDPOINT=f"http://{self._between.address}", ROTA_DETACH="off", PYTHONUNBUFFERED="1"
        )

    def try_all(self, place: Place, cells: Sequence[Cell], at_once: int) -> list[Tried]:
        """Run these jobs while nothing answers as it should; then have all be well, and look at what the collector was told."""
        with self._agent(place), contextlib.closing(self._between):
            self._fetch_policies(place, cells)
            self._between.become(place.fault)
            with ThreadPoolExecutor(at_once) as workers:
                tried = list(workers.map(self._run, [cell.at(place) for cell in cells]))
            self._between.become(WELL)
            if not place.has_agent:
                subprocess.run(
                    [sys.executable, "-m", "rota", "agent", "--once"], env=self.environment, capture_output=True, check=False
                )
            return [
                one._replace(problems=[f"{place}: {each}" for each in [*one.problems, *self._told(one.cell)]]) for one in tried
            ]

    @contextlib.contextmanager
    def _agent(self, place: Place) -> Iterator[None]:
        if not place.has_agent:
            self.environment["ROTA_AGENT"] = "off"
            yield
            return
        with agent(self.environment, self._folder / "agent.log"):
            yield

    def _fetch_policies(self, place: Place, cells: Sequence[Cell]) -> None:
        if not place.has_agent:
            found = self._collector.item("/policies/asking")
            policies.write(str(self._home), found["version"], found["items"])
        names = [self._home / "policy" / f"{cell.workflow}.json" for cell in cells]
        poll(lambda: all(name.exists() for name in names), "the policies do not come")

    def _run(self, cell: Cell) -> Tried:
        command = ["sh", "-c", "echo body; echo by the way >&2; exit 3"]
        if cell.way == "exec":
            words = [sys.executable, "-m", "rota", "exec", "--name", cell.workflow, "--", *command]
        else:
            script = _SCRIPT if cell.way == "watch" else _PERMITTED
            words = [sys.executable, "-c", script.format(name=cell.workflow)]
        began = time.monotonic()
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        seconds = time.monotonic() - began
        return Tried(cell, seconds, list(_wrong(cell, done, seconds)))

    def _told(self, cell: Cell) -> list[str]:
        """What is wrong with what the collector knows, once it knows it."""
        try:
            (run,) = until(lambda: self._ended(cell), f"the only run of {cell.workflow}, ended", 120)
            told = until(lambda: self._blind(run["id"]), f"the decisions of {cell.workflow}", 120)
        except (AssertionError, ValueError) as error:
            return [f"{cell.workflow}: {error}"]
        problems = []
        if run["state"] != cell.expected.state:
            problems.append(f"{cell.workflow}: its run is {run['state']}, and not {cell.expected.state}")
        if told[-1]["answer"] != cell.expected.answer:
            problems.append(f"{cell.workflow}: it is told that {told[-1]['answer']} was decided, and not {cell.expected.answer}")
        if len({each["id"] for each in told}) != len(told):
            problems.append(f"{cell.workflow}: a decision is told twice")
        return problems

    def _ended(self, cell: Cell) -> list[dict[str, Any]] | None:
        runs = self._collector.item("/runs", workflow=cell.workflow)["items"]
        return runs if runs and all(run["ended_at"] for run in runs) else None

    def _blind(self, run_id: str) -> list[dict[str, Any]]:
        items = self._collector.item(f"/runs/{run_id}/decisions")["items"]
        return [each for each in items if each["source"] in ("exec", "sdk", "agent")]


def _wrong(cell: Cell, done: subprocess.CompletedProcess[str], seconds: float) -> Iterator[str]:
    expected, name = cell.expected, cell.workflow
    if done.returncode != expected.code:
        yield f"{name}: it ended with {done.returncode}, and not {expected.code}: {done.stderr}"
    if done.stdout != expected.out:
        yield f"{name}: it said {done.stdout!r}, and not {expected.out!r}"
    if re.fullmatch(expected.err.format(name=re.escape(name)), done.stderr) is None:
        yield f"{name}: on standard error it said {done.stderr!r}, and not {expected.err!r}"
    if seconds > PROMISED_SECONDS + GENEROUS_SECONDS:
        yield f"{name}: it took {seconds:.1f} s"
    if cell.says == "wait(1s)" and expected.answer == "deny" and seconds < 1:
        yield f"{name}: it did not wait: {seconds:.1f} s"


def put_policies(collector: CollectorProcess) -> None:
    """Of all cells."""
    for cell in CELLS:
        collector.put(f"/api/v1/workflows/{cell.workflow}/policy", cell.document)
