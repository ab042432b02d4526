"""Rules on runs in flight: what tasks told is kept beside the runs, and rules act in the transaction in which facts arrive."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select

from rota.rules import inflight as rules
from rota.rules.expression import holds
from rota.rules.fold import TERMINAL, Run
from rota.rules.inflight import ALERT, CANCEL, DENY, Facts, Rule
from rota_collector.decode.tasks import TaskEnd
from rota_collector.store import cancels, events, incidents
from rota_collector.store import control_queries as queries
from rota_collector.store.asking import Asking
from rota_collector.store.control_schema import runs
from rota_collector.store.dialect import do_nothing, driver_sql, read, upsert
from rota_collector.store.inflight_schema import cancels as cancels_table
from rota_collector.store.inflight_schema import last_facts, rule_acts, task_ends, task_facts

MOST_TASKS = 1000  # of a run, told apart
MOST_ENDS = 20_000  # of a run: what is told after that many calls is looked at no more
KEPT_NS = 86_400 * 10**9  # how long after its last task a run's facts are kept

_new_end, _put_fact = driver_sql(do_nothing(task_ends)), driver_sql(upsert(task_facts))
_put_last, _put_act = upsert(last_facts), do_nothing(rule_acts)
_ends_of = "SELECT span_id FROM task_ends WHERE run_id = ?"
_kept_of = "SELECT task, attempt, ended_ns, facts FROM task_facts WHERE run_id = ?"
_facts_of = "SELECT task, facts FROM task_facts WHERE run_id = ? AND attempt = ? ORDER BY ended_ns, task"
_last_of = "SELECT facts FROM last_facts WHERE workflow = ?"
_acts_of = "SELECT rule FROM rule_acts WHERE run_id = ?"
_runs_of = select(*[runs.c[name] for name in Run._fields]).where(runs.c.run_id.in_(bindparam("ids", expanding=True)))
_alerts = select(rule_acts.c.run_id, rule_acts.c.reason, rule_acts.c.at_ns).where(
    rule_acts.c.action == ALERT, rule_acts.c.run_id.in_(bindparam("ids", expanding=True))
)

Tasks = dict[str, dict[str, Any]]


class Acted(NamedTuple):
    """What rules did. ``alerted``: runs about which people are to be told; ``cancel``: number of the last cancel, 0 without."""

    alerted: list[Run]
    cancel: int = 0


class Alerted(NamedTuple):
    """A rule wanted people to know of a run. ``at_ns``: Unix ns."""

    reason: str
    at_ns: int


def note(
    connection: Connection, asking: Asking, ends: Sequence[TaskEnd], changed: Iterable[Run], now_ns: int
) -> Acted:  # fmt: skip
    """Keep what tasks told, and do what the rules say of it. ``changed``: the runs that changed in this transaction."""
    ruled = asking.ruled
    if not ruled:
        return Acted([])
    by_run: dict[str, list[TaskEnd]] = {}
    for end in ends:
        by_run.setdefault(end.run_id, []).append(end)
    touched = {run_id for run_id, of_run in by_run.items() if _keep(connection, run_id, of_run)}
    known = {run.run_id: run for run in changed if run.workflow in ruled}
    missing = sorted(touched - set(known))
    found = [queries.to_run(row) for start in range(0, len(missing), 500)
             for row in connection.execute(_runs_of, {"ids": missing[start : start + 500]})]  # fmt: skip
    acted = Acted([])
    for run in [*known.values(), *(run for run in found if run.workflow in ruled)]:
        acted = _act(connection, asking.policy(run.workflow) or {}, run, acted, now_ns)
        if run.state == "succeeded":
            _remember(connection, run)
    return acted


def facts_of(
    connection: Connection, workflow: str, run_id: str, attempt: int, host: str | None, told: Mapping[str, Any]
) -> Facts:  # fmt: skip
    """What is known of a run; ``told``: by task, what its host told just now, which is newer than what arrived before."""
    tasks = {**_tasks(connection, run_id, attempt), **told}
    found = read(connection, _last_of, (workflow,))
    return Facts.of(workflow, host, attempt, tasks, json.loads(found[0][0]) if found else {})


def alerts_of(connection: Connection, run_ids: Sequence[str]) -> dict[str, Alerted]:
    """The runs of these about which rules wanted people to know."""
    return {
        row.run_id: Alerted(row.reason, row.at_ns)
        for start in range(0, len(run_ids), 500)
        for row in connection.execute(_alerts, {"ids": run_ids[start : start + 500]})
    }


def forget(connection: Connection, before_ns: int) -> None:
    """Delete what tasks told that ended before it (Unix ns)."""
    connection.execute(delete(task_facts).where(task_facts.c.ended_ns < before_ns))
    connection.execute(delete(task_ends).where(task_ends.c.ended_ns < before_ns))


def forget_acts(connection: Connection, before_ns: int) -> int:
    """Delete what rules did, and the cancels, from before it (Unix ns); how many of them."""
    found = [connection.execute(delete(table).where(table.c.at_ns < before_ns)) for table in (rule_acts, cancels_table)]
    return sum(each.rowcount for each in found)


class _Fact(NamedTuple):
    """What is kept of a task. ``ended_ns``: of its last call."""

    attempt: int
    ended_ns: int
    facts: dict[str, Any]


def _keep(connection: Connection, run_id: str, ends: Iterable[TaskEnd]) -> bool:
    """Add what calls told to what is known of their tasks; False: it was there already, or there is no room."""
    told = {span_id for (span_id,) in read(connection, _ends_of, (run_id,))}
    new = {end.span_id: end for end in ends if end.span_id not in told}
    some = [end for end, _ in zip(new.values(), range(MOST_ENDS - len(told)), strict=False)]
    if not some:
        return False
    rows = read(connection, _kept_of, (run_id,))
    kept = {task: _Fact(attempt, ended_ns, json.loads(facts)) for task, attempt, ended_ns, facts in rows}
    changed: dict[str, _Fact] = {}
    for end in some:
        before = changed.get(end.task) or kept.get(end.task)
        if (before is None or before.attempt <= end.attempt) and (before is not None or len(kept) + len(changed) < MOST_TASKS):
            changed[end.task] = _added(before, end)
    connection.exec_driver_sql(_new_end.sql, [(run_id, end.span_id, end.ended_ns) for end in some])
    told_now = [(run_id, task, each.attempt, each.ended_ns, json.dumps(each.facts)) for task, each in changed.items()]
    if told_now:
        connection.exec_driver_sql(_put_fact.sql, told_now)
    return bool(told_now)


def _added(before: _Fact | None, end: TaskEnd) -> _Fact:
    same = before if before is not None and before.attempt == end.attempt else None
    facts = rules.task_facts(same.facts if same else None, end.told, end.state, end.seconds)
    if same is not None and same.ended_ns > end.ended_ns:  # it comes late: only the counts are new
        return same._replace(facts={**same.facts, "calls": facts["calls"], "failures": facts["failures"]})
    return _Fact(end.attempt, end.ended_ns, facts)


def _tasks(connection: Connection, run_id: str, attempt: int) -> Tasks:
    return {task: json.loads(facts) for task, facts in read(connection, _facts_of, (run_id, attempt))}


def _remember(connection: Connection, run: Run) -> None:
    """The tasks of a run that succeeded are what later ones are compared with."""
    tasks = _tasks(connection, run.run_id, run.attempt)
    if tasks:
        row = {"workflow": run.workflow, "run_id": run.run_id, "ended_ns": run.ended_ns or 0, "facts": json.dumps(tasks)}
        connection.execute(_put_last, row)


def _act(connection: Connection, policy: Mapping[str, Any], run: Run, acted: Acted, now_ns: int) -> Acted:
    """Do what holds and was not done yet."""
    waiting = [rule for rule in rules.of(policy) if rule.action.name != DENY]
    done = {rule for (rule,) in read(connection, _acts_of, (run.run_id,))} if waiting else set()
    waiting = [rule for rule in waiting if _words(rule) not in done]
    if not waiting:
        return acted
    facts = facts_of(connection, run.workflow, run.run_id, run.attempt, run.host, {})
    for rule in waiting:
        is_late = rule.action.name == CANCEL and run.state in TERMINAL  # there is nothing left to end
        if not is_late and facts.tasks and holds(rule.when, facts):
            acted = _do(connection, rule, run, facts, acted, now_ns)
    return acted


def _do(connection: Connection, rule: Rule, run: Run, facts: Facts, acted: Acted, now_ns: int) -> Acted:
    row = {"run_id": run.run_id, "rule": _words(rule), "action": rule.action.name, "reason": rule.reason, "at_ns": now_ns}
    connection.execute(_put_act, row)
    incidents.queue(connection, [events.of_act(run, rule, facts, now_ns)])
    if rule.action.name == ALERT:
        return Acted([*acted.alerted, run], acted.cancel)
    made = cancels.order(connection, run, "rota", rule.reason, now_ns)
    return Acted(acted.alerted, max(acted.cancel, made.number))


def _words(rule: Rule) -> str:
    return f"{rule.when} → {rule.action.name} {rule.action.text}"
