"""A run as it was, whoever heard of it: its times, its end, its ids and its luck."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.history.cast import Workflow, text_of
from rota import __version__
from rota.wire import events, names
from rota_collector.journal import Signal

MS, S = 10**6, 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S

Line = tuple[Signal, bytes]  # one request, of one signal
Pairs = Mapping[str, Any]


@dataclass(eq=False)
class Run:
    """One run as it was, whoever heard of it. Times are Unix ns."""

    of: Workflow
    host: str
    started_ns: int
    took_ns: int
    seed: str  # with the workflow and its start, what makes its ids and figures
    due_ns: int | None = None
    state: str = "succeeded"
    error: str = ""  # a key of ERRORS
    attempts: int = 1
    told_ns: int | None = None  # when its end is heard of, when that is not at once
    is_told_whole: bool = True  # with its spans and logs, not by its states alone
    is_hung: bool = False  # it never gets beyond its second task
    is_measured: bool = False
    messages: tuple[str, ...] = ()  # logged on top of the usual ones

    @property
    def ended_ns(self) -> int:
        """When it ends."""
        return self.started_ns + self.took_ns

    @property
    def declares(self) -> bool:
        """Whether its code says when it should run."""
        return self.of.is_declared and text_of(self.of.schedule) is not None

    @property
    def named_by(self) -> str:
        """``script``: its name was taken from a file, so that each host is an instance."""
        return "script" if len(self.of.hosts) > 1 else "given"

    @property
    def code_file(self) -> str:
        """The script that it runs."""
        return f"/opt/pipelines/{self.of.name.replace('.', '/')}.py"

    def chance_of(self, what: str) -> random.Random:
        """Its own luck, so that nothing about it depends on other runs."""
        return random.Random(f"{self.seed}/{self.of.name}/{self.host}/{self.due_ns or self.started_ns}/{what}")

    @cached_property
    def chance(self) -> random.Random:
        """What its figures are drawn from, one after the other."""
        return self.chance_of("run")

    @cached_property
    def run_id(self) -> str:
        """A UUIDv7."""
        return uuid7(self.started_ns, self.chance_of("id"))

    @cached_property
    def trace_id(self) -> str:
        """32 hex digits."""
        return self.run_id.replace("-", "")

    @cached_property
    def root(self) -> str:
        """The span id of its first attempt."""
        return span_id(self.chance_of("root"))

    def failing_step(self, error: str) -> int:
        """Which task fails; when the database is away, the last one: the others tolerate it."""
        last = len(self.of.steps) - 1
        return last if error in ("", "refused") or last < 1 else self.chance_of("failing").randint(0, last)

    def fail(self) -> Run:
        """Give it a bad end, sooner than usual; it is told whole, so that people see why."""
        self.state, self.error, self.is_told_whole = "failed", self.of.error, True
        self.took_ns = round(self.took_ns * self.chance.uniform(0.3, 0.9))
        return self

    @cached_property
    def resource(self) -> str:
        """Where it ran, as JSON; in short for runs of which little is told, as they are many."""
        pairs: dict[str, Any] = {names.SERVICE_NAME: self.of.name, names.HOST_NAME: self.host}
        if self.is_told_whole:
            pairs |= {
                names.PROCESS_PID: 2000 + self.started_ns // S % 30_000, names.RUNTIME_NAME: "cpython",
                names.RUNTIME_VERSION: "3.11.9", names.SDK_NAME: "rota", names.SDK_LANGUAGE: "python",
                names.SDK_VERSION: __version__,
            }  # fmt: skip
        return events.resource(pairs)

    @cached_property
    def scope(self) -> str:
        """What its records have in common, as JSON."""
        shared = {names.RUN_ID: self.run_id, names.WORKFLOW: self.of.name}
        return events.scope(__version__, shared if self.is_told_whole else {})


def uuid7(at_ns: int, chance: random.Random) -> str:
    """A UUIDv7 that is the same for the same seed."""
    bits = (at_ns // 10**6) << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)
    return str(uuid.UUID(int=bits))


def span_id(chance: random.Random) -> str:
    """16 hex digits, not all zero."""
    return f"{chance.getrandbits(64) | 1:016x}"
