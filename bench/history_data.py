"""Who plays in ``bench.history``, and what a run of theirs says of itself.

What it says is OTLP-JSON as the SDK, ``rota exec`` and the agent write it, rendered by ``rota.wire.events`` like theirs.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from rota import __version__
from rota._run import _PHASE, _RESULT
from rota.wire import events, names
from rota_collector.journal import Signal

MS, S = 10**6, 10**9
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
LARGE, HOSTILE = "etl.backfill", '<img src=x onerror=alert(1)> \u202egpj.exe\u202c "quoted" & co'
LARGE_SPANS = 50_000

Line = tuple[Signal, bytes]  # one request, of one signal
Pairs = Mapping[str, Any]


# -- the cast ------------------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A task of a workflow: its share of the time, what it asks of another system, what it records, and its parts."""

    name: str
    share: float
    call: str = ""  # a key of CALLS
    rows: int = 0
    part: str = ""
    parts: int = 0


class Workflow(NamedTuple):
    """A member of the cast. Its schedule is declared by its code, or stored with ``policy``."""

    name: str
    schedule: dict[str, Any]  # as in a policy, without the grace
    hosts: tuple[str, ...]
    tags: tuple[str, ...] = ()
    median: float = 60.0  # seconds that a run takes
    spread: float = 0.15
    grace: str | None = None
    is_declared: bool = True
    source: str = "sdk"
    policy: dict[str, Any] | None = None  # what somebody stored
    fails: float = 0.01
    error: str = "timeout"  # a key of ERRORS: how it fails when it does
    phase: float = 0.0  # of an interval: seconds since the last start
    since_days: float | None = None  # deployed so long ago; None: before the story begins
    is_weekly: bool = False  # much to do on Mondays, little at weekends

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its tasks, one after the other."""
        return STEPS.get(self.name.partition(".")[0], ())


STEPS = {
    "etl": (
        Step("extract", 4, "get", 46_000), Step("transform", 2), Step("load", 5, "insert", 46_000), Step("publish", 0.4, "put"),
    ),
    "ingest": (
        Step("extract", 3, "get", 48_000), Step("transform", 1.5), Step("load", 5, "insert", 48_000, "load_row", 12),
        Step("publish", 0.5, "insert"),
    ),
    "report": (Step("query", 5, "scan", 900), Step("render", 2), Step("send", 0.4, "post")),
    "sync": (Step("list", 2, "get", 7_200), Step("diff", 3), Step("apply", 3, "insert", 310)),
    "ml": (Step("load_features", 2, "scan", 250_000), Step("train", 8), Step("evaluate", 1), Step("register", 0.3, "put")),
    "billing": (Step("collect", 2, "select", 1_800), Step("charge", 5, "post", 1_800), Step("notify", 1, "post")),
    "crm": (Step("pull", 3, "get", 5_400), Step("merge", 1), Step("push", 2, "post", 140)),
    "stream": (Step("consume", 1),),
    "backup": (),  # shell scripts under `rota exec`: seen from outside
    "infra": (),
}  # fmt: skip


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

ERRORS = {  # type, message, the line that raised it, and where in a library, if there
    "refused": (
        "psycopg.OperationalError",
        'connection refused\n\tIs the server running on host "db-1" (10.2.0.14) and accepting TCP/IP connections on port 5432?',
        "with psycopg.connect(DSN) as connection:",
        ("psycopg/connection.py", 117, "connect", "raise last_ex.with_traceback(None)"),
    ),
    "missing": (
        "FileNotFoundError",
        "[Errno 2] No such file or directory: '/data/marts/orders/_SUCCESS'",
        "with open(MARKER):",
        None,
    ),
    "timeout": (
        "httpx.ReadTimeout",
        "The read operation timed out",
        "answer = client.get(URL, timeout=10)",
        ("httpx/_transports/default.py", 118, "map_httpcore_exceptions", "raise mapped_exc(message) from exc"),
    ),
    "value": ("ValueError", "could not convert string to float: 'n/a'", "price = float(row['price'])", None),
    "disk": ("OSError", "[Errno 28] No space left on device", "target.write(chunk)", None),
    "stripe": (
        "stripe.APIConnectionError",
        "Unexpected error communicating with Stripe: connection reset by peer",
        "stripe.Charge.create(**charge)",
        ("stripe/_http_client.py", 741, "_handle_request_error", "raise APIConnectionError(msg)"),
    ),
}

NIGHTLY, ORDERS, SERVICE = "etl.nightly", "ingest.orders", "stream.payments"
UNKNOWN, PAUSED, NEVER_RAN = "ingest.webhooks", "sync.partners", "infra.dr_drill"
DEPENDENTS = ("ml.train_churn", "report.digest", "report.revenue")


def _daily(hour: int, minute: int, tz: str = "UTC") -> dict[str, Any]:
    return {"cron": f"{minute} {hour} * * *", "tz": tz}


CAST = (
    Workflow(NIGHTLY, _daily(2, 0, BERLIN), ("etl-1",), ("team:data", "nightly", "gdpr"), 2300, grace="10m", fails=0.02,
             is_weekly=True),
    Workflow("report.revenue", _daily(5, 30, BERLIN), ("bi-1",), ("team:finance", "nightly"), 140, is_declared=False,
             policy={"expect": {"upstream": [NIGHTLY]}}, error="missing"),
    Workflow("report.digest", {"after": {"workflow": NIGHTLY, "within": "2h"}}, ("bi-1",), ("team:data",), 35,
             is_declared=False, error="missing"),
    Workflow("ml.train_churn", _daily(4, 0, BERLIN), ("ml-1",), ("team:ml", "nightly"), 1900, is_declared=False,
             policy={"expect": {"upstream": [NIGHTLY]}}),
    Workflow(ORDERS, {"cron": "5 * * * *"}, ("etl-1",), ("team:data", "gdpr"), 240, grace="10m", is_declared=False,
             policy={"expect": {"failures": 2, "max_duration": "40m"}}, error="refused", fails=0.003),
    Workflow("ml.embeddings", {"every": "12h"}, ("ml-1",), ("team:ml",), 7800, policy={"expect": {"max_duration": "4h"}},
             phase=5.5 * 3600),
    Workflow("backup.postgres", {"on_calendar": "*-*-* 01:30:00", "tz": BERLIN}, ("db-1",), ("team:platform", "nightly"), 1500,
             source="exec", error="disk"),
    Workflow("billing.invoices", {"on_calendar": "*-*-* 07:00", "tz": NEW_YORK}, ("app-1",), ("team:finance", "gdpr"), 420,
             source="exec", error="timeout"),
    Workflow("billing.dunning", _daily(9, 0, NEW_YORK), ("app-1",), ("team:finance", "gdpr"), 95, error="stripe", fails=0.03),
    Workflow("crm.sync", {"cron": "20 * * * *"}, ("etl-2",), ("team:sales", "gdpr"), 130, grace="10m", fails=0.003),
    Workflow("infra.certs", _daily(6, 0), ("app-1",), ("team:platform",), 12, grace="15m", source="exec"),
    Workflow("report.kpi", _daily(7, 15), ("bi-1",), ("team:finance",), 210, policy={"expect": {"min_duration": "30s"}}),
    Workflow(PAUSED, {"cron": "40 * * * *"}, ("app-1",), ("team:sales", "staging"), 75, fails=0.003),
    Workflow(NEVER_RAN, {}, ("db-1",)),
    Workflow(SERVICE, {}, ("app-1",), ("team:payments", "service"), policy={"kind": "service", "expect": {"silence": "12h"}}),
    Workflow("etl.warehouse", {"every": "3h"}, ("etl-2",), ("team:data",), 900, policy={"expect": {"failures": 2}},
             phase=3000, error="refused"),
    Workflow("ingest.clickstream", {"every": "10m"}, ("etl-2",), ("team:data",), 55, fails=0.001, phase=130, since_days=21),
    Workflow("ml.features", {"every": "4h"}, ("ml-1",), ("team:ml",), 380, spread=0.1, phase=400),
    Workflow("sync.inventory", {"every": "2h"}, ("etl-2",), ("team:shop",), 1500, phase=840, error="value"),
    Workflow(UNKNOWN, {"cron": "25 * * * *"}, ("etl-1",), ("team:data",), 20, grace="5m", fails=0.003),
    Workflow("infra.rotate_logs", _daily(0, 15), ("web-1", "web-2", "web-3"), ("team:platform",), 8, source="exec", error="disk"),
)  # fmt: skip

_THINGS = (
    "orders", "ledger", "refunds", "snapshot", "vacuum", "digest", "customers", "sessions", "stock", "prices", "payouts",
    "labels", "tickets", "leads", "audit", "archive", "emails", "coupons", "shipments", "vendors", "forecast", "quality", "usage",
)  # fmt: skip
_HOSTS = {
    "etl": ("etl-1", "etl-2"), "ingest": ("etl-1", "etl-2"), "report": ("bi-1",), "backup": ("db-1", "db-2"), "ml": ("ml-1",),
    "sync": ("app-1", "etl-2"), "billing": ("app-1",), "crm": ("app-1",), "infra": ("web-1", "web-2", "web-3"),
}  # fmt: skip
_TEAMS = {"report": "finance", "billing": "finance", "ml": "ml", "crm": "sales", "infra": "platform", "backup": "platform"}


def extras(count: int, seed: int) -> list[Workflow]:
    """So many more workflows, from word lists; the first comes every five minutes."""
    chance = random.Random(f"{seed}/extras")
    taken = {each.name for each in CAST}
    free = [f"{group}.{thing}" for group in _HOSTS for thing in _THINGS if f"{group}.{thing}" not in taken]
    found = [_extra(name, chance) for name in sorted(chance.sample(free, min(max(count, 0), len(free))))]
    often = [each._replace(schedule={"cron": "*/5 * * * *"}, median=4.0, fails=0.0005, since_days=5) for each in found[:1]]
    return often + found[1:]


def _extra(name: str, chance: random.Random) -> Workflow:
    group = name.partition(".")[0]
    schedule, median, fails = _rhythm(chance)
    source = "exec" if group in ("backup", "infra") else "sdk"
    more = [tag for tag, share in (("gdpr", 0.2), ("staging", 0.12), ("nightly", 0.2)) if chance.random() < share]
    return Workflow(
        name, schedule, (chance.choice(_HOSTS[group]),), (f"team:{_TEAMS.get(group, 'data')}", *more), median,
        spread=chance.choice((0.08, 0.15, 0.3)), is_declared="every" in schedule or chance.random() < 0.6, source=source,
        fails=fails, error=chance.choice(("disk", "timeout") if source == "exec" else ("timeout", "value", "refused")),
        phase=chance.uniform(300, 3000), is_weekly=chance.random() < 0.2,
    )  # fmt: skip


def _rhythm(chance: random.Random) -> tuple[dict[str, Any], float, float]:
    """(schedule, median duration in seconds, share of runs that fail)."""
    tz, hour, minute = chance.choice((BERLIN, BERLIN, "UTC", NEW_YORK)), chance.randrange(24), chance.randrange(60)
    roll, fails = chance.random(), chance.choice((0.004, 0.008, 0.02, 0.04))
    if roll < 0.08:
        return {"cron": f"{minute} * * * *"}, chance.uniform(10, 200), fails / 10
    if roll < 0.25:
        return {"every": chance.choice(("2h", "6h", "8h"))}, chance.uniform(30, 290), fails / 4
    if roll < 0.4:
        return {"cron": f"{minute} {hour} * * 1-5", "tz": tz}, chance.uniform(20, 2000), fails
    if roll < 0.5:
        return {"on_calendar": f"Mon..Sat {hour:02}:{minute:02}", "tz": tz}, chance.uniform(20, 900), fails
    if roll < 0.58:
        return {"cron": f"{minute} {hour} * * 0", "tz": tz}, chance.uniform(300, 4000), fails
    return _daily(hour, minute, tz), chance.uniform(20, 2500), fails


def text_of(schedule: Pairs) -> str | None:
    """A schedule as the arguments of ``watch()`` spell it."""
    text = schedule.get("cron") or schedule.get("on_calendar")
    return f"every {schedule['every']}" if "every" in schedule else text


# -- a run ---------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Run:
    """One run as it was, whoever heard of it. Times are Unix ns."""

    of: Workflow
    host: str
    started_ns: int
    took_ns: int
    seed: str  # with the workflow and its start, what makes its ids and figures
    due_ns: int | None = None
    state: str = "succeeded"
    error: str = ""  # a key of ERRORS
    attempts: int = 1
    told_ns: int | None = None  # when its end is heard of, when that is not at once
    is_told_whole: bool = True  # with its spans and logs, not by its states alone
    is_hung: bool = False  # it never gets beyond its second task
    is_measured: bool = False
    messages: tuple[str, ...] = field(default=())  # logged on top of the usual ones

    @property
    def ended_ns(self) -> int:
        """When it ends."""
        return self.started_ns + self.took_ns

    @property
    def declares(self) -> bool:
        """Whether its code says when it should run."""
        return self.of.is_declared and text_of(self.of.schedule) is not None

    @property
    def named_by(self) -> str:
        """``script``: its name was taken from a file, so that each host is an instance."""
        return "script" if len(self.of.hosts) > 1 else "given"

    def chance_of(self, what: str) -> random.Random:
        """Its own luck, so that nothing about it depends on other runs."""
        return random.Random(f"{self.seed}/{self.of.name}/{self.host}/{self.due_ns or self.started_ns}/{what}")

    @cached_property
    def chance(self) -> random.Random:
        """What its figures are drawn from, one after the other."""
        return self.chance_of("run")

    @cached_property
    def run_id(self) -> str:
        """A UUIDv7."""
        return uuid7(self.started_ns, self.chance_of("id"))

    @cached_property
    def trace_id(self) -> str:
        """32 hex digits."""
        return self.run_id.replace("-", "")

    @cached_property
    def root(self) -> str:
        """The span id of its first attempt."""
        return span_id(self.chance_of("root"))

    def failing(self, error: str) -> int:
        """Which task fails; when the database is away, the last one: the others tolerate it."""
        last = len(self.of.steps) - 1
        return last if error in ("", "refused") or last < 1 else self.chance_of("failing").randint(0, last)

    @cached_property
    def resource(self) -> str:
        """Where it ran, as JSON; in short for runs of which little is told, as they are many."""
        pairs: dict[str, Any] = {names.SERVICE_NAME: self.of.name, names.HOST_NAME: self.host}
        if self.is_told_whole:
            pairs |= {
                names.PROCESS_PID: 2000 + self.started_ns // S % 30_000, names.RUNTIME_NAME: "cpython",
                names.RUNTIME_VERSION: "3.11.9", names.SDK_NAME: "rota", names.SDK_LANGUAGE: "python",
                names.SDK_VERSION: __version__,
            }  # fmt: skip
        return events.resource(pairs)

    @cached_property
    def scope(self) -> str:
        """What its records have in common, as JSON."""
        shared = {names.RUN_ID: self.run_id, names.WORKFLOW: self.of.name}
        return events.scope(__version__, shared if self.is_told_whole else {})


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


def uuid7(at_ns: int, chance: random.Random) -> str:
    """A UUIDv7 that is the same for the same seed."""
    bits = (at_ns // 10**6) << 80 | 7 << 76 | chance.getrandbits(12) << 64 | 2 << 62 | chance.getrandbits(62)
    return str(uuid.UUID(int=bits))


def span_id(chance: random.Random) -> str:
    """16 hex digits, not all zero."""
    return f"{chance.getrandbits(64) | 1:016x}"


# -- what it says --------------------------------------------------------------------------------------------------------


def beginning(run: Run) -> Line:
    """The event that it starts, with what its code declares."""
    declared: dict[str, Any] = {names.TAGS: list(run.of.tags) or None}
    if run.of.source == "sdk":
        declared[names.CODE_FILE] = _file(run)
    else:
        declared[names.PROCESS_COMMAND] = f"/opt/bin/{run.of.name}.sh"
    if run.of.source == "sdk" or run.declares:
        declared[names.NAME_SOURCE] = run.named_by
    if run.declares:
        when = run.of.schedule
        declared |= {names.SCHEDULE_SPEC: text_of(when), names.SCHEDULE_TZ: when.get("tz"), names.SCHEDULE_GRACE: run.of.grace}
    return _logs(run, [_state(run, "running", run.started_ns, 1, run.root, declared)])


def ending(run: Run, now_ns: int) -> Iterator[Line]:
    """All that it says after its start until ``now_ns``; its end too, if it has come by then."""
    attempts, is_over, until_ns = list(_attempts(run)), run.ended_ns <= now_ns, min(now_ns, run.ended_ns)
    records: list[str] = []
    if run.is_told_whole:
        parts = [part for each in attempts for part in _parts(run, each)]
        over = [part for part in parts if part.ended_ns <= until_ns]
        yield from _spans(run, over, attempts if is_over and run.state != "crashed" else [])
        records += [_announced(run, part) for part in parts if part.depth == 1 and part.started_ns < until_ns]
        records += _log_records(run, over)
    if is_over:
        records += [record for each in attempts for record in _attempt_events(run, each, is_last=each is attempts[-1])]
    if records:
        yield _logs(run, records)
    if run.is_measured:
        yield _measured(run, until_ns)


def sign_of_life(run: Run, at_ns: int) -> Line:
    """What a service says every few minutes: how far it has come."""
    processed, lag_seconds = (at_ns - run.started_ns) // S * 37, round(run.chance.lognormvariate(0.6, 0.5), 1)
    text = f"processed {processed:,} payments, {lag_seconds} s behind"
    return _logs(run, [_log(run, at_ns, run.root, "INFO", text, {"processed": processed, "lag_seconds": lag_seconds})])


def _attempts(run: Run) -> Iterator[Attempt]:
    """The tries of a run: all but the last fail after a third of the time, and a minute is waited."""
    at, root, pause_ns = run.started_ns, run.root, MINUTE
    for number in range(1, run.attempts):
        end = at + run.took_ns // (3 * run.attempts)
        yield Attempt(number, root, at, end, "failed", run.of.error)
        at, root = end + pause_ns, span_id(run.chance)
    yield Attempt(run.attempts, root, at, run.ended_ns, run.state, run.error)


def _attempt_events(run: Run, attempt: Attempt, *, is_last: bool) -> list[str]:
    """The events of one try: that it starts, when it is not the first, how it ends, and that another will follow."""
    said = [] if attempt.number == 1 else [_state(run, "running", attempt.started_ns, attempt.number, attempt.root, {})]
    said.append(_state(run, attempt.state, attempt.ended_ns, attempt.number, attempt.root, _end(run, attempt)))
    if run.of.source == "exec" and run.is_told_whole and run.state != "crashed":
        said.append(_output(run, attempt))
    return said if is_last else [*said, _state(run, "retry_wait", attempt.ended_ns, attempt.number, attempt.root, {})]


def _end(run: Run, attempt: Attempt) -> dict[str, Any]:
    """What an end event says beside its state."""
    pairs: dict[str, Any] = {names.RUN_STARTED: attempt.started_ns, names.PIPELINE_RESULT: _RESULT.get(attempt.state)}
    if attempt.state == "crashed":  # nobody saw it: the next shipper on that host infers it
        return {**pairs, names.SOURCE: "agent", names.REASON: "vanished"}
    if run.of.source == "exec":
        pairs |= {**_resources(run), names.REASON: "exit", names.NAME_SOURCE: None if run.declares else run.named_by}
    if attempt.state == "cancelled":
        return {**pairs, names.REASON: "sigterm", names.PROCESS_EXIT_CODE: 143, names.PROCESS_SIGNAL: "SIGTERM"}
    if attempt.error:
        pairs |= {names.PROCESS_EXIT_CODE: 1, names.REASON: pairs.get(names.REASON, "exception")}
        pairs |= _exception(run, attempt.error)
        return {**pairs, names.ERROR_TYPE: pairs[names.EXCEPTION_TYPE]}
    return {**pairs, names.PROCESS_EXIT_CODE: 0 if attempt.state == "succeeded" else 1}


def _file(run: Run) -> str:
    return f"/opt/pipelines/{run.of.name.replace('.', '/')}.py"


def _resources(run: Run) -> dict[str, Any]:
    """What the kernel tells ``rota exec`` of a command that ended."""
    seconds, chance = run.took_ns / S, run.chance_of("resources")
    return {
        names.CPU_USER: round(seconds * chance.uniform(0.2, 0.6), 3),
        names.CPU_SYSTEM: round(seconds * chance.uniform(0.02, 0.1), 3),
        names.MEMORY_PEAK: chance.randrange(60, 600) << 20,
        names.BLOCKS_READ: chance.randrange(0, 90_000) & ~7,
        names.BLOCKS_WRITTEN: chance.randrange(800, 400_000) & ~7,
    }


def _exception(run: Run, key: str, step: str = "") -> dict[str, Any]:
    """The exception attributes; one that ``rota exec`` saw has the end of the output as its message, and no stack."""
    kind, message, code, library = ERRORS[key]
    if run.of.source == "exec":
        return {names.EXCEPTION_TYPE: "exit", names.EXCEPTION_MESSAGE: f"{run.of.name}: {message}"}
    file, step = _file(run), step or (run.of.steps[run.failing(key)].name if run.of.steps else "work")
    frames = [(file, 141, "<module>", "main()"), (file, 133, "main", f"{step}(rows)"), (file, 97, step, code)]
    if library is not None:
        frames.append((f"/opt/pipelines/.venv/lib/python3.11/site-packages/{library[0]}", *library[1:]))
    shown = "".join(f'  File "{path}", line {line}, in {name}\n    {text}\n' for path, line, name, text in frames)
    stack = f"Traceback (most recent call last):\n{shown}{kind}: {message}\n"
    return {names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message, names.EXCEPTION_STACK: stack}


# -- its tasks -----------------------------------------------------------------------------------------------------------


def _parts(run: Run, attempt: Attempt) -> Iterator[Part]:
    """The tasks of a try, one after the other, with their parts and their calls. A failure ends the list."""
    chance, steps = run.chance, run.of.steps[: run.failing(attempt.error) + 1]
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


def _spans(run: Run, parts: Sequence[Part], attempts: Sequence[Attempt]) -> Iterator[Line]:
    """The spans of what is over, those of a scope together; and the root spans, once the run is over."""
    scopes: dict[str, list[str]] = {}
    for part in parts:
        scope = '{"name":"%s"}' % part.scope if part.scope else run.scope
        scopes.setdefault(scope, []).append(_span(run, part))
    for before, each in zip([None, *attempts], attempts, strict=False):
        scopes.setdefault(run.scope, []).append(_root_span(run, each, before))
    if scopes:
        yield Signal.TRACES_JSON, events.spans_line(run.resource, scopes).encode("ascii")


def _span(run: Run, part: Part) -> str:
    own = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name} if part.scope else {names.TASK_NAME: part.name}
    told = _exception(run, part.error, part.name if part.depth < 3 else "connect") if part.error else {}
    if told:
        own |= {names.ERROR_TYPE: told[names.EXCEPTION_TYPE]}
    tail = events.failed_tail(part.ended_ns, told[names.EXCEPTION_MESSAGE], told) if told else ""
    kind = 3 if part.scope else events.KIND_INTERNAL  # 3: CLIENT
    return events.span(
        run.trace_id, part.span_id, part.parent, events.text(part.name), kind, part.started_ns, part.ended_ns,
        events.attributes({**own, **part.pairs}), tail,
    )  # fmt: skip


def _root_span(run: Run, attempt: Attempt, before: Attempt | None) -> str:
    pairs = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name, names.STATE: attempt.state, names.ATTEMPT: attempt.number}
    told = _exception(run, attempt.error) if attempt.error else {}
    is_fine = attempt.state == "succeeded"
    tail = "" if is_fine else events.failed_tail(attempt.ended_ns, told.get(names.EXCEPTION_MESSAGE, ""), told)
    tail += ',"links":[{"traceId":"%s","spanId":"%s"}]' % (run.trace_id, before.root) if before else ""
    more = {key: value for key, value in _end(run, attempt).items() if key not in (names.EXCEPTION_STACK, names.RUN_STARTED)}
    return events.span(
        run.trace_id, attempt.root, "", events.text(run.of.name), events.KIND_SERVER, attempt.started_ns, attempt.ended_ns,
        events.attributes({**more, **pairs}), tail,
    )  # fmt: skip


# -- records, one by one -------------------------------------------------------------------------------------------------


def _state(run: Run, state: str, at_ns: int, attempt: int, root: str, more: Pairs) -> str:
    pairs = {
        names.EVENT_ID: uuid7(at_ns, run.chance), names.WORKFLOW: run.of.name, names.RUN_ID: run.run_id, names.STATE: state,
        names.ATTEMPT: attempt, names.SOURCE: run.of.source, names.RUN_SCOPE: "process",
        "cicd.pipeline.run.state": _PHASE.get(state, "finalizing"), **more,
    }  # fmt: skip
    return events.log_record(at_ns, names.RUN_STATE_EVENT, run.trace_id, root, pairs)


def _announced(run: Run, part: Part) -> str:
    pairs = {
        names.EVENT_ID: part.span_id, names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name, names.TASK_NAME: part.name,
        names.TASK_STATE: "running", names.TASK_PARENT_ID: part.parent,
    }  # fmt: skip
    return events.log_record(part.started_ns, names.TASK_STATE_EVENT, run.trace_id, part.span_id, pairs)


def _log_records(run: Run, over: Sequence[Part]) -> list[str]:
    """What the script itself logged while it worked."""
    if run.of.source == "exec":
        return []
    records = [_log(run, run.started_ns + S, run.root, "INFO", f"{run.of.name} starts on {run.host}")]
    for part in over:
        seconds = (part.ended_ns - part.started_ns) / S
        if part.error and not part.scope:
            kind, message = ERRORS[part.error][:2]
            level = "ERROR" if part.depth == 1 else "WARN"
            records.append(_log(run, part.ended_ns, part.span_id, level, f"{part.name} failed: {kind}: {message}"))
        elif part.depth == 1:
            what = f"{part.pairs['rows']:,} rows" if "rows" in part.pairs else "done"
            records.append(_log(run, part.ended_ns, part.span_id, "INFO", f"{part.name}: {what} in {seconds:.1f} s"))
    return records + [_log(run, run.started_ns + 2 * S, run.root, "WARN", text) for text in run.messages]


_SHARE_THAT_GOT_IN = 0.6  # of the rows, before the database went away
_SEVERITY = {"INFO": 9, "WARN": 13, "ERROR": 17}


def _log(run: Run, at_ns: int, span: str, severity: str, text: str, pairs: Pairs | None = None) -> str:
    record = events.log_record(at_ns, "", run.trace_id, span, pairs or {})
    body = events.text(text)
    return f'{record[:-1]},"severityNumber":{_SEVERITY[severity]},"severityText":"{severity}","body":{{"stringValue":{body}}}}}'


def _output(run: Run, attempt: Attempt) -> str:
    """The tail of a command's output, as ``rota exec --tail`` keeps it."""
    last = ERRORS[attempt.error][1] if attempt.error else attempt.state
    text = f"{run.of.name}: started on {run.host}\n{run.of.name}: {last}\n"
    pairs = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name, names.OUTPUT_BYTES: len(text)}
    record = events.log_record(attempt.ended_ns, names.OUTPUT_EVENT, run.trace_id, attempt.root, pairs)
    return record[:-1] + ',"body":{"stringValue":%s}}' % events.text(text)


def _logs(run: Run, records: Sequence[str]) -> Line:
    return Signal.LOGS_JSON, events.logs_line(run.resource, run.scope, records).encode("ascii")


def _measured(run: Run, until_ns: int) -> Line:
    """The process's CPU time and memory, every few seconds."""
    identity = {names.RUN_ID: run.run_id, names.WORKFLOW: run.of.name}
    step_ns = max(5 * S, run.took_ns // 12)
    times = range(run.started_ns + step_ns, until_ns, step_ns)
    cpu, memory = [], []
    for i, at in enumerate(times):
        where = f'"startTimeUnixNano":"{run.started_ns}","timeUnixNano":"{at}"'
        used = (at - run.started_ns) / S
        for mode, share in (("user", 0.55), ("system", 0.08)):
            pairs = events.attributes({**identity, "cpu.mode": mode})
            cpu.append(f'{{"attributes":[{pairs}],{where},"asDouble":{used * share:.3f}}}')
        size = int((90 + 180 * min(1.0, i / 20)) * run.chance.lognormvariate(0, 0.04)) << 20
        memory.append(f'{{"attributes":[{events.attributes(identity)}],{where},"asInt":"{size}"}}')
    metrics = [
        f'{{"name":"process.cpu.time","unit":"s","sum":{{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{",".join(cpu)}]}}}}',
        f'{{"name":"process.memory.usage","unit":"By","sum":{{"aggregationTemporality":2,"dataPoints":[{",".join(memory)}]}}}}',
    ]
    scope = '{"scope":{"name":"opentelemetry.instrumentation.system_metrics"},"metrics":[%s]}' % ",".join(metrics)
    text = '{"resourceMetrics":[{"resource":%s,"scopeMetrics":[%s]}]}' % (run.resource, scope)
    return Signal.METRICS_JSON, text.encode("ascii")


# -- the two that are there only when asked for --------------------------------------------------------------------------


def large_run(started_ns: int, seed: str) -> tuple[Run, list[Line]]:
    """A run of 50,000 spans and all that it says: 49 partitions, each with a thousand rows, of which a few failed."""
    run = Run(Workflow(LARGE, {}, ("etl-1",), ("team:data", "backfill")), "etl-1", started_ns, 25 * MINUTE, seed)
    row_count = LARGE_SPANS - 1 - 49
    tasks, length_ns = [], run.took_ns // 50
    for i in range(49):
        at = run.started_ns + i * length_ns + MS
        partition = Part("partition", span_id(run.chance), run.root, at, at + length_ns - MS, {"day": i}, depth=1)
        count = row_count // 49 + (i < row_count % 49)
        each_ns = (length_ns - 2 * MS) // count
        tasks += [
            Part("load_row", span_id(run.chance), partition.span_id, at + n * each_ns + 1, at + (n + 1) * each_ns, {"rows": 1},
                 "value" if run.chance.random() < 0.002 else "", depth=2)
            for n in range(count)
        ]  # fmt: skip
        tasks.append(partition)
    lines = [beginning(run)]
    for first in range(0, len(tasks), 2000):
        lines += _spans(run, tasks[first : first + 2000], [])
    (attempt,) = _attempts(run)
    lines += _spans(run, [], [attempt])
    return run, [*lines, _logs(run, [_state(run, "succeeded", run.ended_ns, 1, run.root, _end(run, attempt))])]


def hostile_run(started_ns: int, seed: str) -> tuple[Run, list[Line]]:
    """A run whose every text wants to be more than text, and all that it says: HTML, escapes, right-to-left, a megabyte."""
    script, escape = "<script>document.title='owned'</script>", "\x1b[31mred\x1b[0m \x1b]0;owned\x07"
    workflow = Workflow(HOSTILE, {}, ("<b>host</b>",), (script, "=cmd|' /C calc'!A0", "\u202egat"))
    messages = (script, escape, "\u202e:txet", "$$\\frac{1}{0}$$")
    run = Run(workflow, "<b>host</b>", started_ns, MINUTE, seed, state="failed", messages=messages)
    parts = []
    for i, name in enumerate((f"{script} **bold** [link](javascript:alert(1))", f"load \u202e{escape}")):
        at = started_ns + i * 20 * S
        parts.append(Part(name, span_id(run.chance), run.root, at, at + 20 * S, {script: escape}, depth=1))
    pairs = {names.RUN_STARTED: started_ns, names.REASON: script, names.ERROR_TYPE: f"Evil{script}"}
    end = json.loads(_state(run, "failed", run.ended_ns, 1, run.root, pairs))
    message = f"{script} {escape} " + "A" * (1 << 20)  # the SDK would cut it; not everybody is our SDK
    end["attributes"].append({"key": names.EXCEPTION_MESSAGE, "value": {"stringValue": message}})
    lines = [beginning(run), *_spans(run, parts, list(_attempts(run))), _logs(run, [*_log_records(run, parts), json.dumps(end)])]
    return run, lines
