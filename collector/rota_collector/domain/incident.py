"""Incidents: an expectation that is broken opens one, what heals it closes it, and people are told as the policy says. Pure.

Whoever stores the transitions enqueues their notices in the same transaction: nothing opens untold, nothing is told twice.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from rota_collector.domain.expect import Problem
from rota_collector.domain.review import Review

HOST_SILENT, DOWNTIME = "host_silent", "downtime"  # kinds of incidents that others are members of
OBSERVER_SILENT = "observer_silent"  # of a system, which is in ``host``: it is not looked at
RELEASE_NS = 600 * 10**9  # how long a member may take to heal once its upstream or host is back, before people are told


class Alerting(NamedTuple):
    """How people are told, by the policy. ``channels`` None: all of them. Times in ns."""

    channels: tuple[str, ...] | None = None
    remind_ns: int | None = None
    escalate: tuple[tuple[int, str], ...] = ()  # (so long after it opened, to this channel)


class Incident(NamedTuple):
    """An expectation broken for an instance. Times are Unix ns."""

    id: str
    kind: str
    workflow: str  # "" of a group
    host: str  # of the instance, or of a silent host; "" otherwise
    opened_ns: int
    since_ns: int
    summary: str
    on_host: str = ""  # where its runs were last seen
    run_id: str | None = None
    due_ns: int | None = None
    error: str | None = None
    told_ns: int | None = None  # when people were last told; None: not yet
    next_ns: int | None = None  # when to look at it although nothing happens
    escalated: int = 0  # how many steps of the escalation were taken
    group_id: str | None = None  # the incident that speaks for it
    suppressed_by: str | None = None  # the upstream's incident that explains it
    acked_ns: int | None = None
    acked_by: str | None = None
    snoozed_until_ns: int | None = None
    closed_ns: int | None = None
    closed_by: str | None = None  # a person; None: the facts
    reason: str | None = None  # why it closed

    @property
    def is_spoken_for(self) -> bool:
        """Whether another incident tells people about this one."""
        return self.group_id is not None or self.suppressed_by is not None


class Transition(NamedTuple):
    """A change of an incident, to be stored, and told to ``channels`` when ``is_told`` (None: all channels)."""

    name: str  # opened closed retracted reminder escalated acknowledged snoozed suppressed grouped released updated
    incident: Incident
    at_ns: int
    is_told: bool = False
    channels: tuple[str, ...] | None = None
    members: tuple[str, ...] = ()  # workflows of a group


def incident_id(kind: str, workflow: str, host: str, opened_ns: int) -> str:
    """The same for the same opening, however often it is decided."""
    digits = hashlib.sha1(f"rota:incident/{kind}/{workflow}/{host}/{opened_ns}".encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"  # a UUID, without the cost of one


def group_id(kind: str, of: str) -> str:
    """The id of the incident that speaks for many: of a host, or of a downtime of ours."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"rota:group/{kind}/{of}"))


def transitions(
    workflow: str, host: str, on_host: str, found: Review, there: Mapping[str, Incident], alerting: Alerting, now_ns: int,
    upstream: str | None = None,
) -> list[Transition]:  # fmt: skip
    """What a review changes about an instance's incidents.

    Args:
        workflow: with ``host`` ("" where all hosts are one), the instance.
        host: see there.
        on_host: where its runs were last seen, "" when nobody knows.
        found: the review.
        there: its open incidents by kind.
        alerting: how people are told.
        now_ns: Unix ns.
        upstream: the id of an open incident of a workflow that this one needs.
    """
    changes = []
    for problem in found.problems:
        incident = there.get(problem.kind)
        if incident is None:
            changes.append(_opened(problem, workflow, host, on_host, alerting, now_ns, upstream))
        elif (problem.run_id, problem.due_ns, problem.summary) != (incident.run_id, incident.due_ns, incident.summary):
            changes.append(Transition("updated", _latest(incident, problem), now_ns))
    changes += [close(there[kind], why, now_ns, alerting) for kind, why in found.healed.items() if kind in there]
    return changes


def _opened(
    problem: Problem, workflow: str, host: str, on_host: str, alerting: Alerting, now_ns: int, upstream: str | None
) -> Transition:  # fmt: skip
    identity = incident_id(problem.kind, workflow, host, now_ns)
    incident = _latest(
        Incident(identity, problem.kind, workflow, host, now_ns, problem.since_ns, problem.summary, on_host), problem
    )
    if upstream is not None:
        return Transition("suppressed", incident._replace(suppressed_by=upstream), now_ns)
    if problem.downtime_id is not None:
        return Transition("grouped", incident._replace(group_id=group_id(DOWNTIME, problem.downtime_id)), now_ns)
    return told("opened", incident, alerting, now_ns)


def _latest(incident: Incident, problem: Problem) -> Incident:
    return incident._replace(summary=problem.summary, run_id=problem.run_id, due_ns=problem.due_ns, error=problem.error)


def told(name: str, incident: Incident, alerting: Alerting, now_ns: int) -> Transition:
    """A transition that people are told of, and when they are told again."""
    incident = incident._replace(told_ns=now_ns)
    return Transition(name, incident._replace(next_ns=_next(incident, alerting)), now_ns, True, alerting.channels)


def _next(incident: Incident, alerting: Alerting) -> int | None:
    """The next moment at which something is due: the end of a snooze, an escalation, a reminder."""
    if incident.snoozed_until_ns is not None:
        return incident.snoozed_until_ns
    if incident.acked_ns is not None or incident.is_spoken_for:
        return None
    steps = [incident.opened_ns + after_ns for after_ns, _ in alerting.escalate[incident.escalated :][:1]]
    if alerting.remind_ns is not None and incident.told_ns is not None:
        steps.append(incident.told_ns + alerting.remind_ns)
    return min(steps, default=None)


def due(incident: Incident, alerting: Alerting, now_ns: int, members: tuple[str, ...] = ()) -> Transition:
    """What is due of an open incident whose ``next_ns`` has come."""
    if incident.snoozed_until_ns is not None:
        incident = incident._replace(snoozed_until_ns=None)
    if incident.acked_ns is not None or incident.is_spoken_for:
        return Transition("updated", incident._replace(next_ns=None), now_ns)
    if incident.told_ns is None:
        return told("opened", incident, alerting, now_ns)._replace(members=members)
    for after_ns, channel in alerting.escalate[incident.escalated :][:1]:
        if incident.opened_ns + after_ns <= now_ns:
            step = told("escalated", incident._replace(escalated=incident.escalated + 1), alerting, now_ns)
            return step._replace(channels=(channel,), members=members)
    return told("reminder", incident, alerting, now_ns)._replace(members=members)


def close(incident: Incident, why: str, now_ns: int, alerting: Alerting, by: str | None = None) -> Transition:
    """The end of an incident; people who were told that it began are told that it is over."""
    closed = incident._replace(closed_ns=now_ns, closed_by=by, reason=why, next_ns=None)
    channels = alerting.channels
    if channels is not None:
        channels = (*channels, *(channel for _, channel in alerting.escalate[: incident.escalated] if channel not in channels))
    name = "retracted" if why == RETRACTED else "closed"
    return Transition(name, closed, now_ns, incident.told_ns is not None and by is None, channels)


RETRACTED = "it did run, the news came late"


def acknowledge(incident: Incident, by: str, now_ns: int) -> Transition:
    """Somebody works on it: no reminders, no escalation."""
    return Transition("acknowledged", incident._replace(acked_ns=now_ns, acked_by=by, next_ns=incident.snoozed_until_ns), now_ns)


def snooze(incident: Incident, until_ns: int, now_ns: int) -> Transition:
    """Nothing is said until then; if it is still open by then, people are reminded."""
    return Transition("snoozed", incident._replace(snoozed_until_ns=until_ns, acked_ns=None, next_ns=until_ns), now_ns)


def later(incident: Incident, at_ns: int, now_ns: int) -> Transition:
    """Nothing is said now; look again at ``at_ns``."""
    return Transition("updated", incident._replace(next_ns=at_ns), now_ns)


def release(incident: Incident, now_ns: int) -> Transition:
    """What spoke for it is over: it has a while to heal, then people are told of it by itself."""
    free = incident._replace(group_id=None, suppressed_by=None)
    return Transition("released", free._replace(next_ns=None if free.told_ns else now_ns + RELEASE_NS), now_ns)
