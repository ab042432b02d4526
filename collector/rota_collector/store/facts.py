"""The facts that gates rest on, as the collector knows them: a few indexed queries a question, each once a transaction.

What each kind of gate needs is told at the function that decides it, in ``rota.rules.gates``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from rota.rules.durations import seconds
from rota.rules.fold import TERMINAL
from rota.rules.gates import Gate, scope_of
from rota.rules.inflight import Facts as RunFacts
from rota.rules.sharing import shares
from rota_collector.domain.admission import Question
from rota_collector.domain.expect import BAD
from rota_collector.domain.failure import is_one_of
from rota_collector.store import approvals, inflight, quiet
from rota_collector.store.asking import Asking
from rota_collector.store.dialect import read, read_one
from rota_collector.store.leases import Ledger

STARTS, TRIAL = "starts in ", "trial of "  # before the scope that marks of these are counted under
_NS = 10**9
_MOST_TRIES = 1000  # runs in a row, as many as a policy may name
_FAILURES = ", ".join(f"'{state}'" for state in (*BAD, "succeeded"))

_last_ended = """
    SELECT state, ended_ns, slot_ns AS due_ns, run_id FROM runs
    WHERE workflow = ? AND ended_ns IS NOT NULL ORDER BY listed_ns DESC, run_id DESC LIMIT 1"""
_of_slot = """
    SELECT runs.state, runs.ended_ns, slots.due_ns, runs.run_id FROM slots JOIN runs ON runs.run_id = slots.run_id
    WHERE slots.due_ns = ? AND slots.workflow = ? AND runs.ended_ns IS NOT NULL ORDER BY runs.listed_ns DESC LIMIT 1"""
_slot_of_run = "SELECT max(due_ns) FROM slots WHERE run_id = ?"
_present_slot = """
    SELECT max(due_ns) FROM slots WHERE workflow = ? AND host IN ('', ?) AND opens_ns <= ?"""
_tries = f"""
    SELECT state, ended_ns, error_type, error_message FROM runs
    WHERE workflow = ? AND state IN ({_FAILURES}) AND ended_ns IS NOT NULL ORDER BY listed_ns DESC, run_id DESC LIMIT ?"""  # noqa: S608
_state_of = "SELECT workflow, state FROM runs WHERE run_id = ?"
_pool = "SELECT most FROM pools WHERE name = ?"

Facts = Mapping[str, Any]


class Unshared(Exception):
    """A gate that looks at a workflow which neither is of the asker's key nor is shared with it. The message says whose."""


class Gathering:
    """Facts as they are in one transaction, at the time of its ``ledger``. What several questions need is looked up once."""

    def __init__(self, connection: Connection, ledger: Ledger, asking: Asking, shared: Mapping[str, Mapping[str, Any]]) -> None:
        self._connection, self._ledger, self._asking, self._shared = connection, ledger, asking, shared
        self._now_ns = ledger.now_ns
        self._quiet = [each for each in quiet.recent(connection, self._now_ns, 0) if each.kind == "pause"]
        self._last_run, self._pool_limit = cache(self._find_last_run), cache(self._find_pool_limit)
        self._kinds: dict[str, Callable[[Gate, Question], Facts]] = {
            "concurrency": self._concurrency, "rate": self._rate, "upstream": self._upstream, "window": self._window,
            "breaker": self._breaker, "approval": self._approval,
        }  # fmt: skip

    def of(self, gate: Gate, question: Question) -> Facts:
        """What ``rota.rules.gates.decide`` needs for a gate. Raises Unshared; KeyError when it is looked at elsewhere."""
        return self._kinds[gate.kind](gate, question)

    def of_run(self, question: Question) -> RunFacts:
        """What is known of the run that asks: what its tasks told, here or to its host."""
        told = question.facts.get("tasks")
        return inflight.facts_of(
            self._connection, question.workflow, question.run_id, question.attempt, question.host,
            {name: each for name, each in told.items() if isinstance(each, dict)} if isinstance(told, dict) else {},
        )  # fmt: skip

    def pause(self, question: Question) -> Facts:
        """Whether somebody paused the workflow."""
        on = quiet.of_instance(self._quiet, question.workflow, question.host or "") if self._quiet else []
        reasons = [each.reason for each in on if each.covers(self._now_ns)]
        return {"is_paused": bool(reasons), "reason": reasons[0] if reasons else None}

    def limit(self, gate: Gate, scope: str) -> int:
        """The limit of a scope: of a pool what somebody set, else the smallest that a policy gives."""
        limit: int = gate.terms["limit"]
        if not scope.startswith("pool "):
            return limit
        name = scope[5:]
        most = self._pool_limit(name)
        return most if most is not None else min(limit, self._asking.pool_limit(name) or limit)

    def _find_pool_limit(self, name: str) -> int | None:
        row = read_one(self._connection, _pool, (name,))
        return None if row is None else row[0]

    def _concurrency(self, gate: Gate, question: Question) -> Facts:
        scope = scope_of(gate, question.workflow, question.host)
        frees_ns = self._ledger.frees_ns(scope)
        frees_seconds = None if frees_ns is None else max(0.0, (frees_ns - self._now_ns) / _NS)
        return {"used": self._ledger.used(scope), "limit": self.limit(gate, scope), "frees_seconds": frees_seconds}

    def _rate(self, gate: Gate, question: Question) -> Facts:
        marks = self._ledger.marks(STARTS + scope_of(gate, question.workflow, question.host), gate.terms["limit"])
        return {"started_ns": [mark.granted_ns for mark in marks]}

    def _upstream(self, gate: Gate, question: Question) -> Facts:
        names = upstream_of(gate)
        for name in names:
            self._must_be_shared(name, question)
        slot_ns = self._slot(question) if gate.terms.get("join") == "slot" else question.slot_ns
        join_ns = slot_ns if gate.terms.get("join") == "slot" else None
        return {"runs": {name: self._last_run(name, join_ns) for name in names}, "slot_ns": slot_ns}

    def _must_be_shared(self, name: str, question: Question) -> None:
        if not question.reach.allows(name) and not shares(self._shared.get(name, {}), "gate", question.reach.spelled):
            raise Unshared(f"{name} does not share itself with this key: `share: {{gate: [...]}}` in its policy")

    def _find_last_run(self, workflow: str, slot_ns: int | None) -> Facts | None:
        row = read_one(self._connection, _of_slot, (slot_ns, workflow)) if slot_ns is not None else None
        row = row or read_one(self._connection, _last_ended, (workflow,))
        if row is None:
            return None
        state, ended_ns, due_ns, run_id = row
        if due_ns is None:
            ((due_ns,),) = read(self._connection, _slot_of_run, (run_id,))
        return {"state": state, "ended_ns": ended_ns, "slot_ns": due_ns}

    def _slot(self, question: Question) -> int | None:
        """The slot that a run fills: as it says, else the last one that is open."""
        if question.slot_ns is not None:
            return question.slot_ns
        where = (question.workflow, question.host or "", self._now_ns)
        ((found,),) = read(self._connection, _present_slot, where)
        return None if found is None else int(found)

    def _window(self, gate: Gate, question: Question) -> Facts:
        policy = self._asking.policy(question.workflow) or {}
        zone = gate.terms.get("tz") or (policy.get("schedule") or {}).get("tz") or "UTC"
        local = datetime.fromtimestamp(self._now_ns // _NS, UTC).astimezone(ZoneInfo(zone))
        return {"local": local.replace(tzinfo=None).isoformat()}

    def _breaker(self, gate: Gate, question: Question) -> Facts:
        rows = read(self._connection, _tries, (question.workflow, _MOST_TRIES))
        in_a_row = takewhile(lambda row: row[0] != "succeeded", rows)
        failed_ns = [ended_ns for _, ended_ns, *error in in_a_row if is_one_of(gate.terms.get("on"), *error)]
        within = gate.terms.get("within")
        since_ns = 0 if within is None else self._now_ns - round(seconds(str(within)) * _NS)
        marks = self._ledger.marks(TRIAL + question.workflow, 1)
        trial = marks[0].run_id if marks and self._is_open(marks[0].run_id) else None
        return {"failed_ns": [at for at in failed_ns if at >= since_ns], "trial": trial, "run_id": question.run_id}

    def _is_open(self, run_id: str) -> bool:
        row = read_one(self._connection, _state_of, (run_id,))
        return row is None or row[1] not in TERMINAL

    def _approval(self, gate: Gate, question: Question) -> Facts:
        within = gate.terms.get("within")
        within_ns = None if within is None else round(seconds(str(within)) * _NS)
        role = gate.terms.get("role") or "operate"
        found = approvals.asked(self._connection, question, gate.number, role, within_ns, self._now_ns)
        state = {"approve": "approved", "refuse": "refused"}.get(found.answer or "", "asked")
        said = {"by": found.by, "comment": found.comment} if found.answer else {}
        return {"id": found.id, "state": state, "asked_ns": found.asked_ns, **said}

    def workflow_of(self, run_id: str) -> str | None:
        """The workflow of a run, if anything was heard of it yet."""
        row = read_one(self._connection, _state_of, (run_id,))
        return None if row is None else row[0]


def upstream_of(gate: Gate) -> list[str]:
    """The workflows that a gate looks at."""
    if gate.kind != "upstream":
        return []
    one = gate.terms.get("workflow")
    return [one] if one else list(gate.terms["all_of"])
