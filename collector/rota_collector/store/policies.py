"""Policies: every version, and the one in force for each workflow (what code declares, overridden by what is stored)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, select, update

from rota.rules import policy as documents
from rota.rules.declared import Declared
from rota.rules.fold import RunEvent
from rota_collector.decode.to_rows import ToldSchedule
from rota_collector.domain import terms
from rota_collector.domain.schedule import BadSchedule, parse
from rota_collector.domain.schedule import problems as problems_of
from rota_collector.domain.slots import LONGEST_GRACE_NS
from rota_collector.errors import PolicyChanged
from rota_collector.store import audit
from rota_collector.store import policy_rows as rows
from rota_collector.store.asking import Asking
from rota_collector.store.control_schema import workflows
from rota_collector.store.dialect import do_nothing
from rota_collector.store.expectations_schema import policies, watches
from rota_collector.store.policy_rows import PolicyVersion, PolicyView, Source
from rota_collector.store.watches import begin_watching

_list = do_nothing(workflows)
_listed = select(workflows.c.name).where(workflows.c.name == bindparam("name"))
_new_anchor = (
    update(watches).where(watches.c.workflow == bindparam("name")).values(anchor_ns=bindparam("anchor"), next_ns=0)
)  # fmt: skip


class Known(NamedTuple):
    """What is remembered of a policy, to see at a glance that a run declares nothing new."""

    declared: Declared | None
    declared_ns: int
    is_per_host: bool
    document: str


class _Said(NamedTuple):
    """What code or a system said of a workflow at ``at_ns``, and who. ``started_ns``: of the run that said it."""

    workflow: str
    declared: Declared
    at_ns: int
    by: str
    started_ns: int | None = None


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
            found = connection.execute(select(policies)).all()
        with self._lock:
            self.known, self.dependents, self.shared = {}, {}, {}
            for row in found:
                self._remember(row.workflow, row.document, None, row.declared_ns)
            self.asking.begin({row.workflow: (row.version, row.document) for row in found})
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

    def is_known(self, workflow: str) -> bool:
        """Whether there was ever a run or a policy of that workflow."""
        if workflow in self.known:
            return True
        with self._engine.begin() as connection:
            return connection.execute(_listed, {"name": workflow}).first() is not None

    def names(self, most: int) -> list[str]:
        """The names of workflows; of more than ``most``, some."""
        with self._engine.begin() as connection:
            return list(connection.execute(select(workflows.c.name).limit(most)).scalars())

    def view(self, workflow: str) -> PolicyView | None:
        """The policy of a workflow; None when it has none."""
        with self._engine.begin() as connection:
            row = connection.execute(rows.find, {"name": workflow}).first()
        return None if row is None else rows.view(row)

    def all_stored(self) -> list[PolicyView]:
        """Every policy that somebody stored, by the workflow's name."""
        with self._engine.begin() as connection:
            return rows.all_stored(connection)

    def from_source(self, place: str) -> list[str]:
        """The workflows whose stored policies come from a place."""
        with self._engine.begin() as connection:
            return rows.from_source(connection, place)

    def history(self, workflow: str) -> list[PolicyVersion]:
        """All versions of a workflow's policy, the newest first."""
        with self._engine.begin() as connection:
            return rows.history(connection, workflow)

    def put(
        self, stored: Mapping[str, object], *, author: str, reason: str | None, now_ns: int, source: Source = Source(),  # noqa: B008
        as_of_ns: int | None = None, if_version: int | None = None,
    ) -> list[PolicyView]:  # fmt: skip
        """Store documents by workflow, all of them or none; an empty one takes the stored policy away.

        Args:
            source: where they come from.
            if_version: which version whoever stores them has read; another one is not overwritten.
            as_of_ns: when whoever stores them read what is stored: what others stored since is not overwritten.

        Raises:
            rota.rules.policy.PolicyError: with every problem of every document.
            PolicyChanged: somebody else stored one of them meanwhile.
        """
        valid = _validated(stored)
        with self._writer.begin() as connection:
            if as_of_ns is not None:
                _must_be_as_read(connection, valid, as_of_ns)
            if if_version is not None:
                _must_be_at(connection, valid, if_version)
            written = [self._put(connection, name, document, author, reason, now_ns, source) for name, document in valid.items()]
        with self._lock:
            for row in written:
                known = self.known.get(row["workflow"])
                self._remember(row["workflow"], row["document"], known.declared if known else None, row["declared_ns"])
                self.asking.note(row["workflow"], row["version"], row["document"])
        return [rows.view_of(row) for row in written]

    def _put(
        self, connection: Connection, workflow: str, document: dict[str, Any], author: str, reason: str | None, now_ns: int,
        source: Source,
    ) -> dict[str, Any]:  # fmt: skip
        row = connection.execute(rows.find, {"name": workflow}).first()
        declared = json.loads(row.declared) if row and row.declared else None
        place, revision = source if document else Source()
        values: dict[str, Any] = {
            "workflow": workflow,
            "version": row.version + 1 if row else 1,
            "document": rows.text(documents.merge(declared or {}, document)),
            "declared": row.declared if row else None,
            "stored": rows.text(document) if document else None,
            "declared_ns": row.declared_ns if row else 0,
            "problems": row.problems if row else "[]",
            "source": place,
            "revision": revision,
        }
        rows.write(connection, values, "stored", document, author, reason, now_ns, source)
        before, after = audit.differing(json.loads(row.stored) if row and row.stored else {}, document)
        audit.add(
            connection, now_ns, author, "policy.put", workflow, before=before, after={**after, "version": values["version"]}
        )
        _watch(connection, workflow, values["document"], now_ns, now_ns)
        return values

    def note(
        self, connection: Connection, events: Iterable[RunEvent], schedules: Sequence[ToldSchedule], now_ns: int
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Keep what code or a system declares anew; the rows are remembered by ``learn`` once the transaction is through."""
        latest: dict[str, _Said] = {}
        for said in [_of_run(event) for event in events if event.declared is not None] + list(map(_of_system, schedules)):
            if self._is_news(said):
                held = latest.get(said.workflow)
                latest[said.workflow] = said if held is None or said.at_ns >= held.at_ns else held
        declared = [row for said in latest.values() if (row := self._declare(connection, said, now_ns)) is not None]
        on_hosts = [told for told in schedules if told.host and told.declared != Declared()]
        if on_hosts:
            self._watch_on_hosts(connection, on_hosts, declared, now_ns)
        return declared

    def _watch_on_hosts(
        self, connection: Connection, schedules: Iterable[ToldSchedule], declared: Iterable[Mapping[str, Any]], now_ns: int
    ) -> None:  # fmt: skip
        """A workflow that is another on each host is waited for where a schedule of it was told: it need not have run there."""
        per_host = {row["workflow"]: terms.of_text(row["document"]).is_per_host for row in declared}
        for told in schedules:
            known = self.known.get(told.workflow)
            if per_host.get(told.workflow, known is not None and known.is_per_host):
                begin_watching(connection, [(told.workflow, told.host or "", told.at_ns, told.host or "")], now_ns)

    def _is_news(self, said: _Said) -> bool:
        known = self.known.get(said.workflow)
        if known is None:
            return (said.workflow, said.declared) not in self._says_nothing
        return said.declared != known.declared and said.at_ns >= known.declared_ns

    def _declare(self, connection: Connection, said: _Said, now_ns: int) -> dict[str, Any] | None:
        document, problems = documents.from_declared(said.declared)
        document, problems = _usable(document, problems)
        row = connection.execute(rows.find, {"name": said.workflow}).first()
        declared = rows.text(document)
        if row is None and not document and not problems:
            self._says_nothing.add((said.workflow, said.declared))
            return None
        changed = row is None or row.declared != declared
        values: dict[str, Any] = {
            "workflow": said.workflow,
            "version": (row.version if row else 0) + changed,
            "document": rows.text(documents.merge(document, json.loads(row.stored) if row and row.stored else {})),
            "declared": declared,
            "stored": row.stored if row else None,
            "declared_ns": said.at_ns,
            "problems": json.dumps(problems),
            "source": row.source if row else None,
            "revision": row.revision if row else None,
        }
        if changed:
            rows.write(connection, values, "code", document, said.by, None, now_ns)
            since_ns = said.at_ns if said.started_ns is None else anchor_ns(values["document"], said.started_ns)
            _watch(connection, said.workflow, values["document"], since_ns, now_ns)
        else:
            connection.execute(rows.put, values)
        return {**values, "as_declared": said.declared}

    def learn(self, noted: Iterable[Mapping[str, Any]]) -> None:
        """Remember what ``note`` kept."""
        with self._lock:
            for row in noted:
                self._remember(row["workflow"], row["document"], row["as_declared"], row["declared_ns"])
                self.asking.note(row["workflow"], row["version"], row["document"])


def _of_run(event: RunEvent) -> _Said:
    declared = event.declared or Declared()
    return _Said(event.workflow, declared, event.at_ns, f"run {event.run_id}", event.started_ns or event.at_ns)


def _of_system(told: ToldSchedule) -> _Said:
    return _Said(told.workflow, told.declared, told.at_ns, told.source)


def _must_be_at(connection: Connection, names: Iterable[str], version: int) -> None:
    """Raises PolicyChanged when one of them is at another version (0: it has none)."""
    for name in names:
        latest = next(iter(rows.history(connection, name)), None)
        if (latest.version if latest else 0) != version:
            raise PolicyChanged(name, *((latest.version, latest.author, latest.created_ns) if latest else (0, "nobody", 0)))


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


def _must_be_as_read(connection: Connection, workflows: Iterable[str], as_of_ns: int) -> None:
    for name in workflows:
        newer = rows.stored_since(connection, name, as_of_ns)
        if newer is not None:
            raise PolicyChanged(name, newer.version, newer.author, newer.created_ns)


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
