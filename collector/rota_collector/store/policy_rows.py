"""The rows of policies: every version, and the one in force. What is remembered of them in memory is in ``policies``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, insert, select

from rota.rules import policy as documents
from rota_collector.store.dialect import upsert
from rota_collector.store.expectations_schema import policies, policy_versions

find = select(policies).where(policies.c.workflow == bindparam("name"))
_all_stored = select(policies).where(policies.c.stored.is_not(None)).order_by(policies.c.workflow)
_from_source = select(policies.c.workflow).where(policies.c.stored.is_not(None), policies.c.source == bindparam("source"))
put = upsert(policies)
_versions = (
    select(policy_versions).where(policy_versions.c.workflow == bindparam("name")).order_by(policy_versions.c.version.desc())
)
_stored_since = (
    _versions.where(policy_versions.c.origin == "stored", policy_versions.c.created_ns > bindparam("since")).limit(1)
)  # fmt: skip


class Source(NamedTuple):
    """Where stored documents come from: a place (a file, in a repository or on a host), and its commit there."""

    place: str | None = None
    revision: str | None = None


class PolicyView(NamedTuple):
    """A workflow's policy: ``in_force`` is ``declared`` (by code) overridden by ``stored``.

    ``problems`` says what of the declaration cannot be used; ``source`` is of the stored document.
    """

    workflow: str
    version: int
    in_force: dict[str, Any]
    stored: dict[str, Any] | None
    declared: dict[str, Any] | None
    problems: list[str]
    source: Source = Source()


class PolicyVersion(NamedTuple):
    """One version, with who and why. ``origin``: code or stored."""

    version: int
    origin: str
    document: dict[str, Any]
    author: str
    reason: str | None
    created_ns: int
    source: Source = Source()


def history(connection: Connection, workflow: str) -> list[PolicyVersion]:
    """All versions of a workflow's policy, the newest first."""
    return [_version(row) for row in connection.execute(_versions, {"name": workflow})]


def stored_since(connection: Connection, workflow: str, since_ns: int) -> PolicyVersion | None:
    """The last version that somebody stored after then; None: nobody did."""
    row = connection.execute(_stored_since, {"name": workflow, "since": since_ns}).first()
    return None if row is None else _version(row)


def from_source(connection: Connection, place: str) -> list[str]:
    """The workflows whose stored policies come from there."""
    return list(connection.execute(_from_source, {"source": place}).scalars())


def all_stored(connection: Connection) -> list[PolicyView]:
    """Every policy that somebody stored, by the workflow's name."""
    return [view(row) for row in connection.execute(_all_stored)]


def write(
    connection: Connection, values: Mapping[str, Any], origin: str, document: Mapping[str, Any], author: str,
    reason: str | None, now_ns: int, source: Source = Source(),  # noqa: B008
) -> None:  # fmt: skip
    """Put what is in force, and a version of what was stored or declared."""
    connection.execute(put, values)
    connection.execute(
        insert(policy_versions),
        {
            "workflow": values["workflow"], "version": values["version"], "origin": origin, "document": text(document),
            "author": author, "reason": reason, "created_ns": now_ns, "source": source.place, "revision": source.revision,
        },
    )  # fmt: skip


def view(row: Any) -> PolicyView:
    """A row of what is in force, as it is read."""
    stored, declared = (json.loads(given) if given else None for given in (row.stored, row.declared))
    in_force, problems = json.loads(row.document), json.loads(row.problems)
    return PolicyView(row.workflow, row.version, in_force, stored, declared, problems, Source(row.source, row.revision))


def view_of(values: Mapping[str, Any]) -> PolicyView:
    """The same of a row that was just written."""
    return view(_Row(values))


def text(document: Mapping[str, Any]) -> str:
    """A document as it is kept."""
    return json.dumps(documents.ordered(document), separators=(",", ":"))


class _Row:
    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def _version(row: Any) -> PolicyVersion:
    document, source = json.loads(row.document), Source(row.source, row.revision)
    return PolicyVersion(row.version, row.origin, document, row.author, row.reason, row.created_ns, source)
