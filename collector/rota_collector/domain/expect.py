"""What is expected of an instance (a workflow, or a workflow on one host), and the facts it is held against. Pure."""

from __future__ import annotations

from typing import NamedTuple

from rota.rules.fold import TERMINAL
from rota_collector.domain.slots import Limits, Schedule

KINDS = ("missed", "failed", "too_long", "too_short", "silent", "rule")
BAD = ("failed", "timed_out", "crashed", "upstream_failed")
OVERDUE = "max_duration"  # the reason of an end that is concluded from a run's age alone


class Expectation(NamedTuple):
    """What the policy in force expects of an instance; durations in ns."""

    schedule: Schedule | None
    limits: Limits
    max_duration_ns: int | None = None
    min_duration_ns: int | None = None
    silence_ns: int | None = None
    failures: int | None = 1  # so many in a row open an incident; None: failures are nobody's concern
    successes: int = 1  # so many in a row close one


class RunFact(NamedTuple):
    """What a review needs of a run. Times are Unix ns."""

    run_id: str
    state: str
    started_ns: int
    ended_ns: int | None = None
    slot_ns: int | None = None
    reason: str | None = None
    heard_ns: int = 0  # the last sign of life
    error: str | None = None  # what went wrong, for people
    attempt: int = 1
    has_start: bool = True  # False: nobody said when it started, and ``started_ns`` is when it was first heard of
    alerted: str | None = None  # why a rule wanted people to know of it
    alerted_ns: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it has not ended, as far as anybody knows."""
        return self.state not in TERMINAL

    @property
    def was_given_up(self) -> bool:
        """Whether its end is our own conclusion from its age."""
        return self.state == "timed_out" and self.reason == OVERDUE


class Quiet(NamedTuple):
    """A stretch of time in which nothing is expected (a pause, a maintenance window). ``until_ns`` None: no end yet."""

    from_ns: int
    until_ns: int | None
    reason: str

    def covers(self, at_ns: int) -> bool:
        """Whether ``at_ns`` lies in it."""
        return self.from_ns <= at_ns and (self.until_ns is None or at_ns < self.until_ns)


class Downtime(NamedTuple):
    """A stretch in which nobody watched. Until ``settled_ns`` facts of it may still arrive."""

    id: str
    from_ns: int
    until_ns: int
    settled_ns: int
    source: str | None = None  # the system that no observer looked at; None: it is this collector that was away
    on_host: str = ""  # of what runs on that host; "": on any

    @property
    def said(self) -> str:
        """What happened, in words."""
        return "the collector was down" if self.source is None else f"nobody looked at {self.source}"


class Memory(NamedTuple):
    """What is kept about an instance between reviews."""

    watched_ns: int  # since when it is watched: what was due earlier is unknown, never missed
    anchor_ns: int  # from when on the present schedule makes slots
    forgiven_ns: int = 0  # a person closed an incident then: what went wrong before is settled


class Problem(NamedTuple):
    """One kind of expectation that is broken now, and the facts a person wants to know of it."""

    kind: str
    since_ns: int
    summary: str
    at_ns: int  # of the latest fact that breaks it
    run_id: str | None = None
    due_ns: int | None = None
    error: str | None = None
    downtime_id: str | None = None  # it came to light only after a downtime of ours
