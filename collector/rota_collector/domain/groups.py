"""Incidents with a common cause are one incident: of a host that went silent, of a downtime of ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rota_collector.domain.expect import Downtime
from rota_collector.domain.incident import DOWNTIME, HOST_SILENT, Incident, Transition, group_id, incident_id

FEWEST_OF_A_HOST = 3  # workflows silent together are a matter of their host


def grouped(
    changes: Sequence[Transition], missed: Mapping[str, Sequence[Incident]], groups: Mapping[str, Incident],
    heard_ns: Mapping[str, int], downtimes: Iterable[Downtime], now_ns: int,
) -> list[Transition]:  # fmt: skip
    """``changes`` of one tick, those that have a common cause under one incident.

    Args:
        changes: of all instances that were reviewed together.
        missed: host → its open ``missed`` incidents, told or not, without those in ``changes``.
        groups: id → open group.
        heard_ns: host → when anything was last heard of it.
        downtimes: those that the changes may name.
        now_ns: Unix ns.
    """
    said = {group_id(DOWNTIME, each.id): each.said for each in downtimes}
    return [*_of_downtimes(changes, groups, said, now_ns), *_of_hosts(changes, missed, groups, heard_ns, now_ns)]


def lost(host: str, heard_ns: int, open_runs: Sequence[str], expected: Sequence[str], now_ns: int) -> Transition:
    """A host whose agent fell silent in the middle of something: one incident, and later misses there are members of it.

    Args:
        host: which.
        heard_ns: when its agent was last heard.
        open_runs: the workflow of each run that is open there.
        expected: the workflows with a schedule that run there.
        now_ns: Unix ns.
    """
    stakes = [(len(open_runs), "open run"), (len(expected), "scheduled workflow")]
    said = " and ".join(f"{count} {what}{'s' if count > 1 else ''}" for count, what in stakes if count)
    summary = f"the agent of {host} fell silent, with {said} there"
    identity = incident_id(HOST_SILENT, "", host, now_ns)
    incident = Incident(identity, HOST_SILENT, "", host, now_ns, heard_ns, summary, host, told_ns=now_ns)
    return Transition("opened", incident, now_ns, True, None, tuple(sorted({*open_runs, *expected})))


def _of_downtimes(
    changes: Iterable[Transition], groups: Mapping[str, Incident], said: Mapping[str, str], now_ns: int
) -> list[Transition]:  # fmt: skip
    members: dict[str, list[Incident]] = {}
    for change in changes:
        if change.name == "grouped" and change.incident.group_id and change.incident.group_id not in groups:
            members.setdefault(change.incident.group_id, []).append(change.incident)
    opened = []
    for identity, some in members.items():
        summary = f"{_count(some)} did not run while {said[identity]}, as far as anybody reported since"
        opened.append(_group(identity, DOWNTIME, "", some, summary, now_ns))
    return opened


def _of_hosts(
    changes: Sequence[Transition], missed: Mapping[str, Sequence[Incident]], groups: Mapping[str, Incident],
    heard_ns: Mapping[str, int], now_ns: int,
) -> list[Transition]:  # fmt: skip
    fresh: dict[str, list[Incident]] = {}
    for change in changes:
        incident = change.incident
        if change.name == "opened" and incident.kind == "missed" and incident.on_host:
            fresh.setdefault(incident.on_host, []).append(incident)
    regrouped: dict[str, str] = {}
    more: list[Transition] = []
    for host, new in fresh.items():
        there = next((group for group in groups.values() if group.kind == HOST_SILENT and group.host == host), None)
        old = [incident for incident in missed.get(host, ()) if not incident.is_spoken_for]
        if there is None and not _is_silent([*old, *new], heard_ns.get(host, 0)):
            continue
        identity = there.id if there else incident_id(HOST_SILENT, "", host, now_ns)
        regrouped.update(dict.fromkeys((incident.id for incident in new), identity))
        if there is None:
            summary = f"nothing was heard of {host}; {_count([*old, *new])} did not run"
            more.append(_group(identity, HOST_SILENT, host, [*old, *new], summary, now_ns))
            more += [Transition("grouped", each._replace(group_id=identity, next_ns=None), now_ns) for each in old]
    return [*more, *(_into(change, regrouped.get(change.incident.id)) for change in changes)]


def _is_silent(missed: Sequence[Incident], heard_ns: int) -> bool:
    workflows = {incident.workflow for incident in missed}
    return len(workflows) >= FEWEST_OF_A_HOST and heard_ns < min(incident.due_ns or incident.since_ns for incident in missed)


def _into(change: Transition, identity: str | None) -> Transition:
    if identity is None:
        return change
    member = change.incident._replace(group_id=identity, told_ns=None, next_ns=None)
    return Transition("grouped", member, change.at_ns)


def _group(identity: str, kind: str, host: str, members: Sequence[Incident], summary: str, now_ns: int) -> Transition:
    since_ns = min(incident.since_ns for incident in members)
    incident = Incident(identity, kind, "", host, now_ns, since_ns, summary, host, told_ns=now_ns)
    return Transition("opened", incident, now_ns, True, None, tuple(sorted({each.workflow for each in members})))


def _count(members: Sequence[Incident]) -> str:
    names = sorted({each.workflow for each in members})
    return names[0] if len(names) == 1 else f"{len(names)} workflows"
