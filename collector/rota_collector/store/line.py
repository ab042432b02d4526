"""Who waits for permission now, as people see it: the questions whose last answer was wait."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Engine, select, tuple_

from rota.rules.gates import WAIT
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store.admission_schema import questions
from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.within import within


class Waiting(NamedTuple):
    """A run, or a task of it (else None), that waits; ``asked_ns``: since when (Unix ns)."""

    ticket: str
    workflow: str
    run_id: str
    attempt: int
    task: str | None
    asked_ns: int


_columns = [questions.c[name] for name in Waiting._fields]


def waiting(
    engine: Engine, workflow: str | None, cursor: str | None, limit: int, reach: Reach = EVERYTHING
) -> Page[Waiting]:  # fmt: skip
    """Those who wait, who asked first first. Raises BadCursor."""
    query = within(select(*_columns), reach, questions.c.workflow).where(questions.c.answer == WAIT)
    if workflow is not None:
        query = query.where(questions.c.workflow == workflow)
    key = (questions.c.asked_ns, questions.c.ticket)
    if cursor is not None:
        query = query.where(tuple_(*key) > tuple_(*page_parts(cursor, int, str)))
    with engine.begin() as connection:
        found = [Waiting._make(row) for row in connection.execute(query.order_by(*key).limit(limit + 1))]
    return page_of(found, limit, lambda each: (each.asked_ns, each.ticket))
