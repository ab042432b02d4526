"""How the time of a run went by: its tries, the tasks of each, and what happened inside a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from bench.history.cast import Step
from bench.history.run import MINUTE, MS, Pairs, Run, S, span_id

_SHARE_THAT_GOT_IN = 0.6  # of the rows, before the database went away


class Attempt(NamedTuple):
    """One try of a run."""

    number: int
    root: str
    started_ns: int
    ended_ns: int
    state: str
    error: str


class Part(NamedTuple):
    """A span below a run's root: a task, or a call to another system."""

    name: str
    span_id: str
    parent: str
    started_ns: int
    ended_ns: int
    pairs: Pairs
    error: str = ""
    scope: str = ""  # of a call: who instruments it; empty: a task
    depth: int = 0


def _database(system: str, server: str, port: int, operation: str, table: str) -> tuple[str, str, dict[str, Any]]:
    pairs = {"db.system.name": system, "db.namespace": "shop", "db.operation.name": operation, "db.collection.name": table}
    scope = "psycopg" if system == "postgresql" else "dbapi"
    return (
        f"opentelemetry.instrumentation.{scope}",
        f"{operation} {table}",
        {**pairs, "server.address": server, "server.port": port},
    )


def _web(method: str, server: str, path: str, status: int) -> tuple[str, str, dict[str, Any]]:
    pairs = {"http.request.method": method, "url.full": f"https://{server}{path}", "http.response.status_code": status}
    return "opentelemetry.instrumentation.httpx", method, {**pairs, "server.address": server, "server.port": 443}


CALLS = {  # scope, span name, attributes of a call to another system
    "select": _database("postgresql", "db-1", 5432, "SELECT", "invoices"),
    "insert": _database("postgresql", "db-1", 5432, "INSERT", "orders"),
    "scan": _database("clickhouse", "wh-1", 9000, "SELECT", "events"),
    "get": _web("GET", "api.shop.example", "/v2/orders?page=1", 200),
    "post": _web("POST", "hooks.partner.example", "/v1/batch", 201),
    "put": (
        "opentelemetry.instrumentation.botocore",
        "S3.PutObject",
        {"rpc.system": "aws-api", "rpc.service": "S3", "rpc.method": "PutObject", "aws.s3.bucket": "acme-lake",
         "server.address": "s3.eu-central-1.amazonaws.com"},
    ),
}  # fmt: skip


def attempts_of(run: Run) -> Iterator[Attempt]:
    """The tries of a run: all but the last fail after a third of the time, and a minute is waited."""
    at, root, pause_ns = run.started_ns, run.root, MINUTE
    for number in range(1, run.attempts):
        end = at + run.took_ns // (3 * run.attempts)
        yield Attempt(number, root, at, end, "failed", run.of.error)
        at, root = end + pause_ns, span_id(run.chance)
    yield Attempt(run.attempts, root, at, run.ended_ns, run.state, run.error)


def parts_of(run: Run, attempt: Attempt) -> Iterator[Part]:
    """The tasks of a try, one after the other, with their parts and their calls. A failure ends the list."""
    chance, steps = run.chance, run.of.steps[: run.failing_step(attempt.error) + 1]
    length_ns, at = _length_ns(run, attempt), attempt.started_ns
    shares = [step.share * chance.lognormvariate(0, 0.1) for step in steps]
    for i, step in enumerate(steps):
        is_last = step is steps[-1]
        until = run.ended_ns if run.is_hung and i == 1 else at + int(length_ns * 0.99 * shares[i] / sum(shares))
        error = attempt.error if is_last else ""
        suffers = attempt.error == "refused" and step.parts > 0 and not is_last
        rows = round(step.rows * chance.lognormvariate(0, 0.06) * (_SHARE_THAT_GOT_IN if suffers else 1))
        task = Part(
            step.name, span_id(chance), attempt.root, at, until, {"rows": rows} if rows and not error else {}, error, depth=1
        )
        yield from _inner(run, step, task, "refused" if suffers else "")
        yield task
        at = until


def _length_ns(run: Run, attempt: Attempt) -> int:
    """How long a try's tasks take in all, were they let."""
    if run.is_hung:
        return round(run.of.median * S)
    is_cut = attempt.state in ("crashed", "cancelled")
    return (attempt.ended_ns - attempt.started_ns) * (16 if is_cut else 10) // 10


def _inner(run: Run, step: Step, task: Part, failing: str) -> Iterator[Part]:
    """What happens inside a task; when the database goes away, its last parts fail."""
    count, chance = max(step.parts, 1), run.chance
    length_ns = (task.ended_ns - task.started_ns) // (count + 1)
    for i in range(count):
        at, parent = task.started_ns + length_ns // 3 + i * length_ns, task.span_id
        until = at + round(length_ns * chance.uniform(0.5, 0.95))
        error = failing if i >= count * _SHARE_THAT_GOT_IN else ""
        if step.parts:
            parent = span_id(chance)
            yield Part(step.part, parent, task.span_id, at, until, {} if error else {"rows": step.rows // count}, error, depth=2)
        if step.call:
            scope, name, pairs = CALLS[step.call]
            yield Part(name, span_id(chance), parent, at + MS, until - MS, pairs, error or task.error, scope, depth=3)
