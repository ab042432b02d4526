"""One tick: what is due is read, decided, and kept, with the messages that people get of it, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from rota_collector.domain import groups, looking, terms
from rota_collector.domain import incident as incidents_domain
from rota_collector.domain.expect import Downtime
from rota_collector.domain.incident import DOWNTIME, HOST_SILENT, OBSERVER_SILENT, Alerting, Incident, Transition
from rota_collector.domain.looking import Observer
from rota_collector.domain.message import Notice, compose
from rota_collector.domain.review import Review, review
from rota_collector.store import agents, events, incidents, observers, quiet, watches
from rota_collector.store.alerts import Alerts
from rota_collector.store.expectations import Expectations
from rota_collector.store.quiet import QuietTime
from rota_collector.store.watches import Watched

AGENT_SILENT_NS = 120 * 10**9  # four heartbeats
HELD_NS = 5 * 10**9  # how often to ask whether an observer has looked by now
BATCH = 1000  # instances in one transaction: others wait for the lock meanwhile
_PAUSED_NS = 600 * 10**9  # how often to ask whether a pause without an end is over
_MANY = 20  # people who are told of so much at once do not get the history of each

Reviewed = tuple[Watched, Review]


class Tools(NamedTuple):
    """What a tick works with."""

    expectations: Expectations
    alerts: Alerts
    sign_of_life: Callable[[str], int]  # run id → Unix ns of the last thing heard of it
    dashboard_url: str


class _Around(NamedTuple):
    """What all instances of a batch have in common."""

    quiet: list[QuietTime]
    downtimes: list[Downtime]
    observers: list[Observer]
    now_ns: int


def judge(tools: Tools, now_ns: int, limit: int = BATCH) -> bool:
    """Review the instances that are due at ``now_ns`` (Unix ns), ``limit`` of them. False: there was none."""
    with tools.expectations.transaction() as connection:
        batch = watches.due(connection, now_ns, limit, incidents.forgiven(connection))
        if not batch:
            return False
        around = _Around(
            quiet.recent(connection, now_ns), quiet.recent_downtimes(connection, now_ns), observers.every(connection), now_ns
        )
        reviewed = [_review(connection, tools, watched, around) for watched in batch]
        watches.save(connection, reviewed)
        incidents.queue(connection, list(_records(reviewed, now_ns)))
        keep(connection, tools, _transitions(connection, tools, reviewed, around), now_ns)
    return True


def remind(tools: Tools, now_ns: int, limit: int = BATCH) -> bool:
    """Do what is due of open incidents: reminders, escalations, the end of a snooze. False: nothing was."""
    with tools.expectations.transaction() as connection:
        due = incidents.due(connection, now_ns, limit)
        times = quiet.recent(connection, now_ns, 0) if due else []
        keep(connection, tools, [_due(connection, tools, each, times, now_ns) for each in due], now_ns)
    return bool(due)


def _due(connection: Connection, tools: Tools, incident: Incident, times: list[QuietTime], now_ns: int) -> Transition:
    """What is due of an open incident; in a quiet time nothing is said."""
    for stretch in quiet.of_instance(times, incident.workflow, incident.host or incident.on_host):
        if stretch.covers(now_ns):
            return incidents_domain.later(incident, stretch.until_ns or now_ns + _PAUSED_NS, now_ns)
    return incidents_domain.due(incident, _alerting(tools, incident.workflow), now_ns, _members(connection, incident))


def miss_agents(tools: Tools, now_ns: int) -> None:
    """Open an incident for each host whose agent fell silent in the middle of something. In a quiet time that waits."""
    with tools.expectations.reading() as connection:
        silent = agents.silent(connection, now_ns - AGENT_SILENT_NS)
        times = quiet.recent(connection, now_ns, 0) if silent else []
    missed = [host for host in silent if not any(each.covers(now_ns) for each in quiet.of_instance(times, "", host))]
    if not missed:
        return
    with tools.expectations.transaction() as connection:
        told_of = {group.host for group in incidents.open_groups(connection).values() if group.kind == HOST_SILENT}
        stakes = {host: agents.at_stake(connection, host) for host in missed if host not in told_of}
        changes = [groups.lost(host, silent[host], *at, now_ns) for host, at in stakes.items() if any(at)]
        agents.forget(connection, missed)  # one incident a silence, and none when nothing was at stake
        keep(connection, tools, changes, now_ns)


def regroup(tools: Tools, now_ns: int) -> None:
    """Close the groups whose host is heard of again, or whose members are all over."""
    with tools.expectations.reading() as connection:
        there = incidents.open_groups(connection)
    if not there:
        return
    with tools.expectations.transaction() as connection:
        heard = watches.heard(connection, [group.host for group in there.values() if group.kind == HOST_SILENT])
        changes: list[Transition] = []
        for group in there.values():
            members = incidents.members_of(connection, group.id)
            why = _why_over(group, members, heard.get(group.host, 0))
            if why is not None:
                changes.append(incidents_domain.close(group, why, now_ns, Alerting()))
                changes += [incidents_domain.release(member, now_ns) for member in members if member.closed_ns is None]
        keep(connection, tools, changes, now_ns)


def _why_over(group: Incident, members: Sequence[Incident], heard_ns: int) -> str | None:
    if group.kind == HOST_SILENT and heard_ns > group.opened_ns:
        return f"{group.host} was heard of again"
    is_well = all(member.closed_ns is not None for member in members)
    is_waited_for = group.kind == HOST_SILENT and not members  # its agent is missed, and nothing was due there yet
    return "all of its workflows are well again" if is_well and not is_waited_for else None


def _review(connection: Connection, tools: Tools, watched: Watched, around: _Around) -> Reviewed:
    """What is found of an instance, as far as all is known of it."""
    hosts = (watched.host, watched.on_host)
    seen_by = [each for each in around.observers if looking.sees(each, watched.seen_by, hosts)]
    until_ns = looking.horizon_ns(seen_by, around.now_ns)
    downtimes = [each for each in around.downtimes if each.source is None or looking.sees(each, watched.seen_by, hosts)]
    found = _found(connection, tools, watched, around._replace(downtimes=downtimes, now_ns=until_ns))
    if until_ns == around.now_ns:
        return watched._replace(dirty_ns=None), found
    if not any(run.started_ns > until_ns for run in watched.runs):
        watched = watched._replace(dirty_ns=None)
    if watched.dirty_ns is not None or (found.next_ns is not None and found.next_ns <= around.now_ns):
        found = found._replace(next_ns=around.now_ns + HELD_NS)
    return watched, found


def _found(connection: Connection, tools: Tools, watched: Watched, around: _Around) -> Review:
    asked = terms.of_text(watched.document)
    upstream_ends: Sequence[int] = ()
    if asked.after is not None:
        since_ns = max([watched.memory.anchor_ns, *(slot.due_ns for slot in watched.slots[-1:])])
        upstream_ends = watches.successes(connection, asked.after, since_ns)
    return review(
        asked.at_version(watched.version),
        watched.memory,
        watched.slots,
        watched.runs,
        around.now_ns,
        quiet=quiet.of_instance(around.quiet, watched.workflow, watched.host or watched.on_host) if around.quiet else (),
        downtimes=around.downtimes,
        upstream_ends=upstream_ends,
        sign_of_life=tools.sign_of_life,
    )


def _records(reviewed: Iterable[Reviewed], now_ns: int) -> Iterable[str]:
    """What the reviews found, as log records."""
    for watched, found in reviewed:
        for slot in found.slots:
            if slot.verdict is not None:
                yield events.of_slot(watched.workflow, watched.host, slot, now_ns)
        for run in found.given_up:
            limit_ns = terms.of_text(watched.document).expectation.max_duration_ns or 0
            yield events.of_overdue(watched.workflow, watched.host, run, run.attempt, run.started_ns + limit_ns)


def _transitions(connection: Connection, tools: Tools, reviewed: Sequence[Reviewed], around: _Around) -> list[Transition]:
    now_ns = around.now_ns
    names = sorted({watched.workflow for watched, found in reviewed})
    there = incidents.open_by_instance(connection, names)
    changes: list[Transition] = []
    for watched, found in sorted(reviewed, key=lambda each: bool(terms.of_text(each[0].document).upstream)):  # upstreams first
        present = there.get((watched.workflow, watched.host), {})
        if found.problems or present:
            asked = terms.of_text(watched.document)
            opened = (
                [change.incident for change in changes if change.incident.workflow in asked.upstream] if asked.upstream else []
            )
            upstream = _broken(connection, asked.upstream, opened) if asked.upstream and found.problems else None
            changes += incidents_domain.transitions(
                watched.workflow, watched.host, watched.on_host, found, present, asked.alerting, now_ns, upstream
            )  # fmt: skip
    return _grouped(connection, changes, around) + _released(connection, tools, changes, now_ns)


def _broken(connection: Connection, upstream: Sequence[str], changed: Sequence[Incident]) -> str | None:
    """The id of an incident of one of these workflows that is open after ``changed``."""
    found = {
        incident.id: incident
        for kinds in incidents.open_by_instance(connection, upstream).values()
        for incident in kinds.values()
    }
    found.update((incident.id, incident) for incident in changed)
    return min((incident.id for incident in found.values() if incident.closed_ns is None), default=None)


def _grouped(connection: Connection, changes: Sequence[Transition], around: _Around) -> list[Transition]:
    on_hosts = {change.incident.on_host for change in changes if change.name == "opened" and change.incident.on_host}
    if not on_hosts and not any(change.name == "grouped" for change in changes):
        return list(changes)
    return groups.grouped(
        changes,
        incidents.missed_on(connection, on_hosts),
        incidents.open_groups(connection),
        watches.heard(connection, sorted(on_hosts)),
        around.downtimes,
        around.now_ns,
    )


def _released(connection: Connection, tools: Tools, changes: Sequence[Transition], now_ns: int) -> list[Transition]:
    """What the closed incidents of upstreams explained until now."""
    over = [change.incident for change in changes if change.incident.closed_ns is not None]
    members = [
        member
        for incident in over
        if incident.workflow in tools.expectations.policies.dependents
        for member in incidents.members_of(connection, incident.id)
    ]
    return [incidents_domain.release(member, now_ns) for member in members if member.closed_ns is None]


def keep(connection: Connection, tools: Tools, changes: Sequence[Transition], now_ns: int) -> None:
    """Store transitions and the messages that tell of them: in one transaction, or not at all."""
    incidents.keep(connection, changes)
    told = [change for change in changes if change.is_told]
    if told:
        notices = [_notice(connection, tools, change, len(told) > _MANY) for change in told]
        channels = tools.alerts.channel_names(connection)
        tools.alerts.enqueue(connection, compose(notices, channels, tools.dashboard_url), now_ns)


def _notice(connection: Connection, tools: Tools, change: Transition, is_one_of_many: bool) -> Notice:
    incident = change.incident
    asked = _terms(tools, incident.workflow)
    is_group = incident.kind in (HOST_SILENT, OBSERVER_SILENT, DOWNTIME)
    good_ns = None if is_one_of_many or is_group else watches.last_good(connection, incident.workflow, incident.host)
    return Notice(
        incident_id=incident.id,
        transition=change.name,
        kind=incident.kind,
        workflow=incident.workflow,
        host=incident.host or incident.on_host,
        at_ns=change.at_ns,
        since_ns=incident.since_ns,
        summary=incident.reason if incident.closed_ns is not None and incident.reason else incident.summary,
        run_id=incident.run_id,
        last_good_ns=good_ns,
        error=incident.error,
        due_ns=incident.due_ns,
        tz=asked.schedule.tz if asked is not None and asked.schedule is not None else None,
        members=change.members,
        channels=change.channels,
    )


def _members(connection: Connection, incident: Incident) -> tuple[str, ...]:
    if incident.kind not in (HOST_SILENT, DOWNTIME):
        return ()
    return tuple(sorted({member.workflow for member in incidents.members_of(connection, incident.id)}))


def _alerting(tools: Tools, workflow: str) -> Alerting:
    found = _terms(tools, workflow)
    return found.alerting if found is not None else Alerting()


def _terms(tools: Tools, workflow: str) -> terms.Terms | None:
    known = tools.expectations.policies.known.get(workflow)
    return terms.of_text(known.document) if known is not None else None
