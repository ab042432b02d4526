"""The past that advice rests on: a workflow's own runs, and those of others that failed in the same ways."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, func, select

from rota_collector.domain.fleet import Past, key_of
from rota_collector.store.control_schema import runs

BAD = ("failed", "timed_out", "crashed")
_OWN, _OTHERS, _EACH = 5000, 40, 1500  # runs of its own, workflows beside it, runs of each
_columns = [
    runs.c[name] for name in ("run_id", "workflow", "listed_ns", "ended_ns", "state", "error_type", "error_message", "exit_code")
]


def past(connection: Connection, workflow: str, upstream: Iterable[str], since_ns: int) -> list[Past]:
    """Runs that ended, since then (Unix ns), in no order: of the workflow, of ``upstream``, of those that share its errors."""
    own = list(_of(connection, workflow, since_ns, _OWN))
    errors = sorted({run.failure.partition(":")[0] for run in own if run.failure})
    found = {*upstream, *_sharing(connection, errors, since_ns)} - {workflow}
    return [*own, *(run for name in sorted(found) for run in _of(connection, name, since_ns, _EACH))]


def of_failing(connection: Connection, since_ns: int, most_runs: int) -> dict[str, list[Past] | None]:
    """By workflow, runs that ended since then (Unix ns), of all that failed at all, those that failed most often first.

    About ``most_runs`` of them are read at most; of whoever is behind that there is None.
    """
    query = (
        select(runs.c.workflow)
        .where(runs.c.state.in_(BAD), runs.c.listed_ns >= since_ns)
        .group_by(runs.c.workflow)
        .order_by(func.count().desc(), runs.c.workflow)
    )
    found: dict[str, list[Past] | None] = {}
    for name in connection.execute(query).scalars().all():
        own = list(_of(connection, name, since_ns, _OWN)) if most_runs > 0 else None
        most_runs -= len(own or ())
        found[name] = own
    return found


def of_each(connection: Connection, names: Iterable[str], since_ns: int) -> Iterator[Past]:
    """The latest runs of these workflows."""
    for name in sorted(names):
        yield from _of(connection, name, since_ns, _EACH)


def _of(connection: Connection, workflow: str, since_ns: int, most: int) -> Iterator[Past]:
    """The latest runs of a workflow."""
    query = (
        select(*_columns)
        .where(runs.c.workflow == workflow, runs.c.listed_ns >= since_ns, runs.c.ended_ns.is_not(None))
        .order_by(runs.c.listed_ns.desc())
        .limit(most)
    )
    for row in connection.execute(query):
        key = key_of(row.state, row.error_type, row.error_message, row.exit_code)
        yield Past(row.run_id, row.workflow, row.listed_ns, row.ended_ns, key, row.error_message or "")


def _sharing(connection: Connection, error_types: Sequence[str], since_ns: int) -> Sequence[str]:
    """Workflows with an error of one of these types."""
    if not error_types:
        return ()
    query = (
        select(runs.c.workflow)
        .where(runs.c.state.in_(BAD), runs.c.listed_ns >= since_ns, runs.c.error_type.in_(error_types))
        .distinct()
        .limit(_OTHERS)
    )
    return connection.execute(query).scalars().all()
