"""What was asked and answered: who waits keeps its place through a restart, who asks twice is told the same."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from rota.rules.gates import WAIT
from rota_collector.store.admission_schema import questions, told_answers
from rota_collector.store.dialect import driver_sql, read_one, upsert
from rota_collector.store.leases import Lease

KEPT_NS = 86_400 * 10**9  # how long an answer can be asked for again


class Permission(NamedTuple):
    """What an asker is told. ``gate`` and ``kind`` are of the gate that decided; None where all say go."""

    answer: str
    reason: str
    gate: int | None
    kind: str | None
    decision_id: str
    ticket: str
    look_again_seconds: float | None = None
    leases: tuple[Lease, ...] = ()


class Asked(NamedTuple):
    """A question as it is kept. Times are Unix ns."""

    ticket: str
    workflow: str
    run_id: str
    attempt: int
    task: str | None
    asked_ns: int
    answer: str
    answered_ns: int


class Told(NamedTuple):
    """What was answered to a request with an idempotency key. ``payload``: its digest; ``answer``: JSON."""

    key: str
    payload: str
    answer: str
    told_ns: int


_asked = f"SELECT {', '.join(Asked._fields)} FROM questions WHERE ticket = ?"  # noqa: S608
_told = f"SELECT {', '.join(Told._fields)} FROM told_answers WHERE key = ?"  # noqa: S608
_put_asked, _put_told = driver_sql(upsert(questions)), driver_sql(upsert(told_answers))
_forget_asked = delete(questions).where(questions.c.answered_ns < bindparam("before"), questions.c.answer != WAIT)
_forget_told = delete(told_answers).where(told_answers.c.told_ns < bindparam("before"))
_leave = delete(questions).where(questions.c.ticket == bindparam("one"), questions.c.answer == WAIT)
_move = update(questions).where(questions.c.answer == WAIT).values(asked_ns=questions.c.asked_ns + bindparam("step"))
_waiting = select(questions.c.ticket).where(questions.c.answer == WAIT)


def ticket_of(run_id: str, attempt: int, task: str | None, key: str | None) -> str:
    """The ticket of a question that has none yet.

    A run asks once an attempt, so that its ticket is the same however often it does; a task is called many times, and is known
    again only by the idempotency key of its request.
    """
    if task is not None and key is None:
        return str(uuid.uuid4())
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"rota:permission/{run_id}/{attempt}/{task or ''}/{key if task else ''}"))


def find(connection: Connection, ticket: str) -> Asked | None:
    """The question with this ticket."""
    row = read_one(connection, _asked, (ticket,))
    return None if row is None else Asked._make(row)


def keep(connection: Connection, asked: Sequence[Asked]) -> None:
    """Write down what was answered last."""
    if asked:
        connection.exec_driver_sql(_put_asked.sql, [tuple(each) for each in asked])


def told(connection: Connection, key: str) -> Told | None:
    """What was answered to a request with this key."""
    row = read_one(connection, _told, (key,))
    return None if row is None else Told._make(row)


def as_told(permission: Permission) -> str:
    """What is kept of an answer: all but its leases, which change, and are looked up by the ticket."""
    return json.dumps([*permission[:-1], len(permission.leases)])


def as_permission(told: Told) -> tuple[Permission, int]:
    """The answer once more, without its leases, and how many it had."""
    *said, leases = json.loads(told.answer)
    return Permission(*said), leases


def keep_told(connection: Connection, answers: Sequence[Told]) -> None:
    """Write down what is answered."""
    if answers:
        connection.exec_driver_sql(_put_told.sql, [tuple(each) for each in answers])


def leave(connection: Connection, tickets: Iterable[str]) -> None:
    """These wait no more: who asks with one of them stands at the end of the line."""
    if rows := [{"one": ticket} for ticket in tickets]:
        connection.execute(_leave, rows)


def move(connection: Connection, step_ns: int) -> None:
    """The wall clock was set: those who wait have waited as long as before."""
    connection.execute(_move, {"step": step_ns})


def waiting(connection: Connection) -> list[str]:
    """The tickets of all who wait, as far as is known."""
    return list(connection.execute(_waiting).scalars())


def forget(connection: Connection, now_ns: int) -> None:
    """Let go of what nobody asks for again."""
    for each in (_forget_asked, _forget_told):
        connection.execute(each, {"before": now_ns - KEPT_NS})
