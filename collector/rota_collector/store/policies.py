"""Policies: every version, and the one in force for each workflow (what code declares, overridden by what is stored)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, insert, select, update

from rota.rules import policy as documents
from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota_collector.domain import terms
from rota_collector.domain.schedule import BadSchedule, parse
from rota_collector.domain.schedule import problems as problems_of
from rota_collector.domain.slots import LONGEST_GRACE_NS
from rota_collector.store import audit
from rota_collector.store.asking import Asking
from rota_collector.store.control_schema import workflows
from rota_collector.store.dialect import do_nothing, upsert
from rota_collector.store.expectations_schema import policies, policy_versions, watches
from rota_collector.store.watches import begin_watching

_find = select(policies).where(policies.c.workflow == bindparam("name"))
_put = upsert(policies)
_versions = (
    select(policy_versions).where(policy_versions.c.workflow == bindparam("name")).order_by(policy_versions.c.version.desc())
)
_list = do_nothing(workflows)
_new_anchor = (
    update(watches).where(watches.c.workflow == bindparam("name")).values(anchor_ns=bindparam("anchor"), next_ns=0)
)  # fmt: skip


class PolicyView(NamedTuple):
    """A workflow's policy: ``in_force`` is ``declared`` (by code) overridden by ``stored``.

    ``problems`` says what of the declaration cannot be used.
    """

    workflow: str
    version: int
    in_force: dict[str, Any]
    stored: dict[str, Any] | None
    declared: dict[str, Any] | None
    problems: list[str]


class PolicyVersion(NamedTuple):
    """One version, with who and why. ``origin``: code or stored."""

    version: int
    origin: str
    document: dict[str, Any]
    author: str
    reason: str | None
    created_ns: int


class Known(NamedTuple):
    """What is remembered of a policy, to see at a glance that a run declares nothing new."""

    declared: Declared | None
    declared_ns: int
    is_per_host: bool
    document: str


class Policies:
    """The policies in the control database ``engine``. ``default_budget``: of retries whose policy names none."""

    def __init__(self, engine: Engine, default_budget: dict[str, Any] | None = None) -> None:
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._lock = threading.Lock()
        self.known: dict[str, Known] = {}
        self.dependents: dict[str, set[str]] = {}  # workflow → those whose slots or health hang on it
        self.shared: dict[str, dict[str, Any]] = {}  # workflow → its policy, if that shares anything; replaced, never changed
        self._says_nothing: set[tuple[str, Declared]] = set()  # declarations that ask for nothing, to be seen at a glance
        self.asking = Asking(default_budget)
        self._told: Callable[[int], None] = lambda _: None
        self.asking.changed.append(lambda _workflow: self._told(self.asking.number))
        self.reload()

    def reload(self) -> None:
        """Read what is remembered anew."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(policies)).all()
        with self._lock:
            self.known, self.dependents, self.shared = {}, {}, {}
            for row in rows:
                self._remember(row.workflow, row.document, None, row.declared_ns)
            self.asking.begin({row.workflow: (row.version, row.document) for row in rows})
            self._told(self.asking.number)

    def _remember(self, workflow: str, document: str, declared: Declared | None, declared_ns: int) -> None:
        if workflow in self.known:
            for dependents in self.dependents.values():
                dependents.discard(workflow)
        found = terms.of_text(document)
        self.known[workflow] = Known(declared, declared_ns, found.is_per_host, document)
        for upstream in found.upstream:
            self.dependents.setdefault(upstream, set()).add(workflow)
        if '"share":' in document or workflow in self.shared:
            policy = json.loads(document)
            others = {name: each for name, each in self.shared.items() if name != workflow}
            self.shared = {**others, workflow: policy} if policy.get("share") else others

    def tell(self, told: Callable[[int], None]) -> None:
        """From now on tell ``told`` the number of the policies that ask, before anybody is answered that one changed."""
        self._told = told
        told(self.asking.number)

    def is_per_host(self, workflow: str) -> bool:
        """Whether each host of the workflow is an instance of its own."""
        known = self.known.get(workflow)
        return known is not None and known.is_per_host

    def view(self, workflow: str) -> PolicyView | None:
        """The policy of a workflow; None when it has none."""
        with self._engine.begin() as connection:
            row = connection.execute(_find, {"name": workflow}).first()
        return None if row is None else _view(row)

    def history(self, workflow: str) -> list[PolicyVersion]:
        """All versions of a workflow's policy, the newest first."""
        with self._engine.begin() as connection:
            rows = connection.execute(_versions, {"name": workflow}).all()
        return [
            PolicyVersion(row.version, row.origin, json.loads(row.document), row.author, row.reason, row.created_ns)
            for row in rows
        ]

    def put(self, stored: Mapping[str, object], *, author: str, reason: str | None, now_ns: int) -> list[PolicyView]:
        """Store documents by workflow, all of them or none; an empty one takes the stored policy away.

        Raises rota.rules.policy.PolicyError with every problem of every document.
        """
        valid = _validated(stored)
        with self._writer.begin() as connection:
            rows = [self._put(connection, name, document, author, reason, now_ns) for name, document in valid.items()]
        with self._lock:
            for row in rows:
                known = self.known.get(row["workflow"])
                self._remember(row["workflow"], row["document"], known.declared if known else None, row["declared_ns"])
                self.asking.note(row["workflow"], row["version"], row["document"])
        return [_view(_Row(row)) for row in rows]

    def _put(
        self, connection: Connection, workflow: str, document: dict[str, Any], author: str, reason: str | None, now_ns: int
    ) -> dict[str, Any]:  # fmt: skip
        row = connection.execute(_find, {"name": workflow}).first()
        declared = json.loads(row.declared) if row and row.declared else None
        values: dict[str, Any] = {
            "workflow": workflow,
            "version": row.version + 1 if row else 1,
            "document": _text(documents.merge(declared or {}, document)),
            "declared": row.declared if row else None,
            "stored": _text(document) if document else None,
            "declared_ns": row.declared_ns if row else 0,
            "problems": row.problems if row else "[]",
        }
        _write(connection, values, "stored", document, author, reason, now_ns)
        before, after = audit.differing(json.loads(row.stored) if row and row.stored else {}, document)
        audit.add(
            connection, now_ns, author, "policy.put", workflow, before=before, after={**after, "version": values["version"]}
        )
        _watch(connection, workflow, values["document"], now_ns, now_ns)
        return values

    def note(self, connection: Connection, events: Iterable[RunEvent], now_ns: int) -> list[dict[str, Any]]:
        """Keep what code declares anew; the rows are remembered by ``learn`` once the transaction is through."""
        latest: dict[str, RunEvent] = {}
        for event in events:
            if event.declared is not None and self._is_news(event):
                held = latest.get(event.workflow)
                latest[event.workflow] = event if held is None or event.at_ns >= held.at_ns else held
        rows = (self._declare(connection, event, now_ns) for event in latest.values())
        return [row for row in rows if row is not None]

    def _is_news(self, event: RunEvent) -> bool:
        known = self.known.get(event.workflow)
        if known is None:
            return (event.workflow, event.declared) not in self._says_nothing
        return event.declared != known.declared and event.at_ns >= known.declared_ns

    def _declare(self, connection: Connection, event: RunEvent, now_ns: int) -> dict[str, Any] | None:
        assert event.declared is not None
        document, problems = documents.from_declared(event.declared)
        document, problems = _usable(document, problems)
        row = connection.execute(_find, {"name": event.workflow}).first()
        declared = _text(document)
        if row is None and not document and not problems:
            self._says_nothing.add((event.workflow, event.declared))
            return None
        changed = row is None or row.declared != declared
        values: dict[str, Any] = {
            "workflow": event.workflow,
            "version": (row.version if row else 0) + changed,
            "document": _text(documents.merge(document, json.loads(row.stored) if row and row.stored else {})),
            "declared": declared,
            "stored": row.stored if row else None,
            "declared_ns": event.at_ns,
            "problems": json.dumps(problems),
        }
        if changed:
            _write(connection, values, "code", document, f"run {event.run_id}", None, now_ns)
            _watch(
                connection,
                event.workflow,
                values["document"],
                anchor_ns(values["document"], event.started_ns or event.at_ns),
                now_ns,
            )
        else:
            connection.execute(_put, values)
        return {**values, "as_declared": event.declared}

    def learn(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Remember what ``note`` kept."""
        with self._lock:
            for row in rows:
                self._remember(row["workflow"], row["document"], row["as_declared"], row["declared_ns"])
                self.asking.note(row["workflow"], row["version"], row["document"])


class _Row:
    """A row that was just written, to be read as one that was found."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def _view(row: Any) -> PolicyView:
    stored, declared = (json.loads(text) if text else None for text in (row.stored, row.declared))
    return PolicyView(row.workflow, row.version, json.loads(row.document), stored, declared, json.loads(row.problems))


def _write(
    connection: Connection, values: Mapping[str, Any], origin: str, document: Mapping[str, Any], author: str,
    reason: str | None, now_ns: int,
) -> None:  # fmt: skip
    connection.execute(_put, values)
    connection.execute(
        insert(policy_versions),
        {
            "workflow": values["workflow"], "version": values["version"], "origin": origin, "document": _text(document),
            "author": author, "reason": reason, "created_ns": now_ns,
        },
    )  # fmt: skip


def _watch(connection: Connection, workflow: str, document: str, anchor_ns: int, now_ns: int) -> None:
    """Let the instances be judged by the policy as it is now. One that spans all hosts need not have run yet."""
    connection.execute(_new_anchor, {"name": workflow, "anchor": anchor_ns})
    connection.execute(_list, {"name": workflow, "outcomes": "[]"})
    if not terms.of_text(document).is_per_host and document != "{}":
        begin_watching(connection, [(workflow, "", anchor_ns, "")], now_ns)


def anchor_ns(document: str, started_ns: int) -> int:
    """From when on a policy makes slots that comes with a run: so that this run can fill the first of them."""
    found = terms.of_text(document)
    if found.schedule is not None and found.schedule.period_ns is not None:
        return started_ns - found.schedule.period_ns
    grace_ns = found.expectation.limits.grace_ns
    return started_ns - (LONGEST_GRACE_NS if grace_ns is None else grace_ns) - 1


def _validated(stored: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """The documents, or PolicyError with all that is wrong with any of them, their schedules included."""
    valid: dict[str, dict[str, Any]] = {}
    problems: list[str] = []
    for workflow, document in stored.items():
        try:
            valid[workflow] = dict(documents.validate(document))
        except documents.PolicyError as error:
            problems += error.problems
            continue
        named = valid[workflow].pop("workflow", workflow)
        if named != workflow:
            problems.append(f"workflow: the document is of {named!r}, and was put at {workflow!r}")
        problems += _usable(valid[workflow], [])[1]
    if problems:
        raise documents.PolicyError(problems)
    return valid


def _usable(document: dict[str, Any], problems: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The document without a schedule that cannot be used, and why it cannot."""
    when = document.get("schedule")
    if not when:
        return document, problems
    try:
        schedule = parse({key: value for key, value in when.items() if key not in ("grace", "early")})
        found = [each.text for each in problems_of(schedule, 0, 0) if each.severity == "error"]
    except BadSchedule as error:
        found = [str(error)]
    if not found:
        return document, problems
    return {key: value for key, value in document.items() if key != "schedule"}, [
        *problems,
        *(f"schedule: {text}" for text in found),
    ]


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(documents.ordered(document), separators=(",", ":"))
