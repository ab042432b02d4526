"""Retry budgets, counted for all hosts: what was granted of late, beside the first attempts of late.

A first attempt of a run is its row; of a function, whose calls no store counts, what its host tells. A question is one
transaction: two that come at once are never granted the same retry.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Engine, Index, Integer, MetaData, Table, Text, bindparam, delete, insert

from rota.rules import budget as rules
from rota.rules.budget import Budget, Counted
from rota.rules.gates import DENY, Answer, Decision
from rota.rules.tasks import entry_of
from rota_collector.clock import Clock
from rota_collector.domain.admission import Question
from rota_collector.domain.reach import Reach
from rota_collector.store import events
from rota_collector.store.asking import Asking
from rota_collector.store.dialect import read
from rota_collector.store.incidents import queue

metadata = MetaData()

# What each question was granted, and the first attempts that it told of. Times are Unix ns. Native to this store, in no journal.
grants = Table(
    "retry_grants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("budget", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("task", Text),
    Column("firsts", Integer, nullable=False),
    Column("granted", Integer, nullable=False),
    Index("retry_grants_budget", "budget", "at_ns"),
)
_TICKET = "retry"
_NOT_BEGUN = "'scheduled', 'queued', 'blocked', 'skipped'"
_told = "SELECT coalesce(sum(firsts), 0), coalesce(sum(granted), 0) FROM retry_grants WHERE budget = ? AND at_ns > ?"
_runs = f"""
    SELECT count(*) FROM runs WHERE workflow = ? AND listed_ns > ? AND state NOT IN ({_NOT_BEGUN})"""  # noqa: S608
_forget = delete(grants).where(grants.c.budget == bindparam("of"), grants.c.at_ns <= bindparam("until"))
_NS = 10**9


class Taken(NamedTuple):
    """What was granted of how many wanted. ``budget`` None: the policy names none, and nothing is counted."""

    granted: int
    reason: str
    budget: str | None = None


class Standing(NamedTuple):
    """A budget, and how it stands."""

    budget: Budget
    counted: Counted
    workflows: list[str]


class Budgets:
    """The budgets that the policies in ``asking`` name; what is spent of them is in the control database ``engine``."""

    def __init__(self, engine: Engine, asking: Asking, clock: Clock) -> None:
        self._engine, self._asking, self._clock = engine, asking, clock
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            metadata.create_all(connection)

    def take(self, question: Question, wanted: int, firsts: int) -> Taken:
        """Grant retries to a run, or to a task of it, that tells of so many first attempts since it asked before.

        A refusal is a decision like those of gates, and is told of as they are.
        """
        found = self._budget(question)
        if found is None:
            return Taken(wanted, "its policy names no retry budget")
        now_ns = self._clock.now_ns()
        with self._writer.begin() as connection:
            counted = self._counted(connection, found, now_ns, firsts)
            granted = rules.granted(found, counted, wanted)
            _keep(connection, found, question, now_ns, firsts, granted)
            if not granted:
                queue(connection, [_refusal(question, found, counted, now_ns)])
        return Taken(granted, rules.said(found, counted), found.name)

    def standing(self, reach: Reach) -> list[Standing]:
        """Every budget that policies of workflows within ``reach`` name, by its name."""
        now_ns = self._clock.now_ns()
        with self._engine.begin() as connection:
            return [
                Standing(found, self._counted(connection, found, now_ns, 0), workflows)
                for found, workflows in ((found, self._workflows(found.name, reach)) for found in self._asking.budgets())
                if workflows
            ]

    def _workflows(self, name: str, reach: Reach) -> list[str]:
        return sorted(filter(reach.allows, self._asking.who_shares(name)))

    def _budget(self, question: Question) -> Budget | None:
        policy = self._asking.policy(question.workflow) or {}
        asked = policy if question.task is None else entry_of(policy.get("tasks") or {}, question.task) or {}
        named = rules.budget_of(asked.get("retry"))
        return None if named is None else self._asking.budget(named.name) or named

    def _counted(self, connection: Connection, found: Budget, now_ns: int, firsts: int) -> Counted:
        since_ns = now_ns - round(found.within_seconds * _NS)
        ((told, granted),) = read(connection, _told, (found.name, since_ns))
        runs = sum(read(connection, _runs, (name, since_ns))[0][0] for name in self._asking.whose_runs(found.name))
        return Counted(firsts + told + runs, granted)


def _keep(connection: Connection, found: Budget, question: Question, now_ns: int, firsts: int, granted: int) -> None:
    connection.execute(_forget, {"of": found.name, "until": now_ns - round(found.within_seconds * _NS)})
    if not (firsts or granted):
        return
    row: dict[str, Any] = {
        "budget": found.name, "at_ns": now_ns, "workflow": question.workflow, "run_id": question.run_id, "task": question.task,
        "firsts": firsts, "granted": granted,
    }  # fmt: skip
    connection.execute(insert(grants), row)


def _refusal(question: Question, found: Budget, counted: Counted, now_ns: int) -> str:
    reason = rules.said(found, counted)
    facts = {**found._asdict(), **counted._asdict()}
    answer = Answer(rules.NUMBER, rules.KIND, DENY, reason, facts)
    return events.of_decision(question, _TICKET, Decision(DENY, reason, None, rules.KIND), [answer], now_ns)
