"""Approvals: a run that waits for a person's word makes one; the word, or its time, ends it. Every answer is in the record."""

from __future__ import annotations

import uuid
from typing import NamedTuple

from sqlalchemy import Connection, Engine, bindparam, insert, select, tuple_, update

from rota_collector.domain.admission import Question
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store import audit
from rota_collector.store.admission_schema import approvals, metadata
from rota_collector.store.control_queries import Page, page_of, page_parts
from rota_collector.store.within import within

APPROVE, REFUSE = ANSWERS = ("approve", "refuse")
ASKED, EXPIRED = "asked", "expired"


class Approval(NamedTuple):
    """A question to a person. Times are Unix ns; ``expires_ns`` None: it waits for ever; ``answer`` None: nobody said a word."""

    id: str
    workflow: str
    run_id: str
    task: str | None
    host: str | None
    role: str
    asked_ns: int
    expires_ns: int | None
    answer: str | None = None
    answered_ns: int | None = None
    by: str | None = None
    comment: str | None = None

    def state(self, now_ns: int) -> str:
        """Its answer, else ``asked``, or ``expired`` when its time is up."""
        if self.answer is not None:
            return self.answer
        return EXPIRED if self.expires_ns is not None and self.expires_ns <= now_ns else ASKED


_columns = [approvals.c[name] for name in Approval._fields]
_one = select(*_columns).where(approvals.c.id == bindparam("identity"))
_answer = (
    update(approvals)
    .where(
        approvals.c.id == bindparam("identity"),
        approvals.c.answer.is_(None),
        approvals.c.expires_ns.is_(None) | (approvals.c.expires_ns > bindparam("now")),
    )
    .values(answer=bindparam("said"), answered_ns=bindparam("now"), by=bindparam("who"), comment=bindparam("why"))
)


def asked(connection: Connection, question: Question, gate: int, role: str, within_ns: int | None, now_ns: int) -> Approval:
    """The approval that a run (or task) needs at a gate, made when this is the first time that it asks. One for all attempts."""
    name = f"rota:approval/{question.run_id}/{question.task or ''}/{gate}"
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, name))
    row = connection.execute(_one, {"identity": identity}).first()
    if row is not None:
        return Approval._make(row)
    expires_ns = None if within_ns is None else now_ns + within_ns
    made = Approval(
        identity, question.workflow, question.run_id, question.task, question.host, role, now_ns, expires_ns
    )  # fmt: skip
    connection.execute(insert(approvals), made._asdict())
    return made


class Approvals:
    """The approvals in the control database ``engine``, as people see and answer them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        with self._writer.begin() as connection:
            metadata.create_all(connection)

    def get(self, identity: str) -> Approval | None:
        """The approval of this id."""
        with self._engine.begin() as connection:
            row = connection.execute(_one, {"identity": identity}).first()
        return None if row is None else Approval._make(row)

    def answer(self, identity: str, said: str, *, by: str, comment: str | None, now_ns: int) -> Approval | None:
        """Approve or refuse. None: there is no such one that nobody answered and whose time is not up."""
        with self._writer.begin() as connection:
            words = {"identity": identity, "said": said, "now": now_ns, "who": by, "why": comment}
            if not connection.execute(_answer, words).rowcount:
                return None
            found = Approval._make(connection.execute(_one, {"identity": identity}).one())
            told = {"workflow": found.workflow, "run_id": found.run_id, "comment": comment}
            after = {name: value for name, value in told.items() if value is not None}
            audit.add(connection, now_ns, by, f"approval.{said}", identity, after=after)
        return found

    def page(
        self, state: str | None, now_ns: int, page: str | None = None, limit: int = 100, reach: Reach = EVERYTHING, *,
        run_id: str | None = None,
    ) -> Page[Approval]:  # fmt: skip
        """Approvals, the last asked first; ``state`` asked, approve, refuse, expired. Raises BadCursor."""
        query = within(select(*_columns), reach, approvals.c.workflow)
        if run_id is not None:
            query = query.where(approvals.c.run_id == run_id)
        is_over = approvals.c.expires_ns <= now_ns
        if state in ANSWERS:
            query = query.where(approvals.c.answer == state)
        elif state is not None:
            unanswered = query.where(approvals.c.answer.is_(None))
            is_asked = approvals.c.expires_ns.is_(None) | ~is_over
            query = unanswered.where(is_over) if state == EXPIRED else unanswered.where(is_asked)
        key = (approvals.c.asked_ns, approvals.c.id)
        if page is not None:
            query = query.where(tuple_(*key) < tuple_(*page_parts(page, int, str)))
        query = query.order_by(key[0].desc(), key[1].desc()).limit(limit + 1)
        with self._engine.begin() as connection:
            found = [Approval._make(row) for row in connection.execute(query)]
        return page_of(found, limit, lambda each: (each.asked_ns, each.id))
