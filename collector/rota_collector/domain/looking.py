"""What is known of workflows that are seen through somebody else: observers, which look at other systems. Pure.

What an observer has not looked at yet has not been missed. It says up to when it told all (``looked_ns``): so far, and no
farther, its workflows are judged. When it falls silent, what is due is unknown until it has caught up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from rota_collector.domain.expect import Downtime
from rota_collector.domain.incident import OBSERVER_SILENT, Incident, Transition, incident_id

LEAST_PATIENCE_NS = 60 * 10**9
_LOOKS_MISSED = 3  # before it counts as silent
FOR_EVER_NS = 1 << 62  # until when somebody is away who has not come back


class Look(NamedTuple):
    """An observer looked at a system, or tried to. Times are Unix ns."""

    source: str  # the system
    place: str  # tells it from others of its kind
    on_host: str  # the only one that it sees; "": wherever the system's workflows run
    host: str  # where the observer is
    at_ns: int  # everything that the system had by then is told; with a problem: when it tried
    heard_ns: int  # by our clock
    every_ns: int  # it looks again by then
    problem: str | None = None


class Observer(NamedTuple):
    """Somebody who looks at a system again and again."""

    source: str
    place: str
    on_host: str
    host: str
    looked_ns: int  # everything that the system had by then is told
    heard_ns: int  # by our clock: when that was last so
    every_ns: int
    problem: str | None
    downtime_id: str | None  # while it is away
    incident_id: str | None


class Seeing(Protocol):
    """Of a system, or of what of it runs on one host."""

    @property
    def source(self) -> str | None:
        """The system."""

    @property
    def on_host(self) -> str:
        """The host; "": any."""


def sees(seeing: Seeing, source: str | None, hosts: Sequence[str]) -> bool:
    """Whether an instance of a workflow is seen by it: one that is known from that system, and is, or ran last, on its host."""
    return seeing.source == source and (not seeing.on_host or seeing.on_host in hosts)


def is_silent(observer: Observer, now_ns: int, since_ns: int) -> bool:
    """Whether it should have looked by now; ``since_ns``: since when we listen."""
    patience_ns = max(LEAST_PATIENCE_NS, _LOOKS_MISSED * observer.every_ns)
    return now_ns - max(observer.heard_ns, since_ns) > patience_ns


def horizon_ns(observers: Iterable[Observer], now_ns: int) -> int:
    """Up to when all is told of what they see. One that is away holds nobody back: that is a downtime."""
    return min([now_ns, *(each.looked_ns for each in observers if each.downtime_id is None)])


def absence(observer: Observer, identity: str) -> Downtime:
    """From its last look on nothing is known."""
    return Downtime(identity, observer.looked_ns, FOR_EVER_NS, FOR_EVER_NS, observer.source, observer.on_host)


def lost(observer: Observer, open_runs: int, scheduled: int, now_ns: int) -> Transition:
    """The incident of one that fell silent with something at stake.

    Args:
        observer: which.
        open_runs: how many of the runs that it sees have not ended.
        scheduled: how many of the workflows that it sees have a schedule.
        now_ns: Unix ns.
    """
    stakes = [(open_runs, "open run"), (scheduled, "scheduled workflow")]
    said = " and ".join(f"{count} {what}{'s' if count > 1 else ''}" for count, what in stakes if count)
    where = f" on {observer.host}" if observer.host else ""
    why = f"cannot look: {observer.problem}" if observer.problem else "was not heard of again"
    summary = f"`rota observe {observer.source}`{where} {why}; what becomes of {said} is unknown"
    identity = incident_id(OBSERVER_SILENT, observer.place, observer.on_host + observer.source, now_ns)
    incident = Incident(
        identity, OBSERVER_SILENT, "", observer.source, now_ns, observer.looked_ns, summary, observer.on_host, told_ns=now_ns
    )
    return Transition("opened", incident, now_ns, True)
