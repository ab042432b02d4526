"""Policies: what is expected of workflows, as code declares it and as people store it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response

from rota.rules import gates
from rota.rules.policy import merge, ordered
from rota.rules.sharing import shares
from rota_collector.api import access, expectation_models, models, policy_checks, shape
from rota_collector.api.access import Asker, Owning, Reads
from rota_collector.api.documents import Examined, Unreadable, examine, examine_all, of_schedule, read
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import taking
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import must_read, unknown
from rota_collector.domain.reach import Reach
from rota_collector.errors import PolicyChanged
from rota_collector.store.facts import upstream_of
from rota_collector.store.policy_rows import PolicyView, Source

_MOST_BYTES = 4 << 20
_JSON, _YAML = ("application/json",), ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml")
_BODY = taking("application/json", "application/yaml", schema={"type": "object", "description": "a policy document"})
TEXT_BODY = taking("application/yaml", schema={"type": "string", "description": "policy documents, each with its `workflow`"})


class Text(NamedTuple):
    """A body that is a document, or several."""

    body: bytes
    is_json: bool

    def documents(self) -> list[object]:
        """What it holds. Raises ApiError."""
        try:
            return read(self.body, is_json=self.is_json)
        except Unreadable as error:
            raise ApiError(422, "unreadable", f"the document cannot be read: {error}", "send YAML or JSON") from error


async def text_of(request: Request) -> Text:
    """The body as it is; a type that browsers send unasked is refused."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in _JSON + _YAML:
        raise ApiError(415, "unsupported_media_type", f"Content-Type {given!r} is no document", f"send {_YAML[0]} or {_JSON[0]}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise ApiError(413, "too_large", f"the documents are larger than {_MOST_BYTES >> 20} MiB", "send them in parts")
    return Text(bytes(body), given in _JSON)


Given = Annotated[Text, Depends(text_of)]
Author = Annotated[
    str | None, Query(min_length=1, max_length=200, description="who changes it, for the record; else the name of the key")
]
Reason = Annotated[str | None, Query(max_length=1000, description="why, for the record")]
Place = Annotated[
    str | None, Query(min_length=1, max_length=1000, description="where the documents come from: a file, in a repository")
]
Revision = Annotated[str | None, Query(min_length=1, max_length=200, description="the commit there")]
Prune = Annotated[bool, Query(description="take away what was stored from `source` and is not among the documents")]
AsOf = Annotated[
    int | None, Query(ge=0, description="`as_of` of an answer: 409 when somebody else stored one of the policies since")
]

Version = Annotated[int | None, Query(ge=0, description="store it only while this version is in force; else 409")]


def router(stores: Stores) -> APIRouter:
    """``/api/v1/workflows/{name}/policy`` and its versions, ``/api/v1/policies``."""
    router = APIRouter(prefix="/api/v1", tags=["policies"])
    there = stores.expectations.policies

    @router.get("/workflows/{name:path}/policy/versions", response_model=models.Items[expectation_models.PolicyVersion])
    def list_versions(name: str, reads: Reads) -> Response:
        """Every version of a policy, the newest first, with who and why."""
        must_read(reads, name)
        if _view(stores, name) is None:
            raise unknown(name)
        return answer({"items": [shape.version_item(each) for each in there.history(name)], "next": None})

    @router.get("/workflows/{name:path}/policy", response_model=expectation_models.Policy)
    def get_policy(name: str, reads: Reads) -> Response:
        """The policy in force: what code declares, overridden key by key by what is stored."""
        must_read(reads, name)
        view = _view(stores, name)
        if view is None:
            raise unknown(name)
        return answer(_item(stores, reads, view))

    @router.put(
        "/workflows/{name:path}/policy",
        response_model=expectation_models.Policy,
        openapi_extra=_BODY,
        dependencies=[access.admin],
    )
    def put_policy(
        name: str, text: Given, asker: Owning, author: Author = None, reason: Reason = None, if_version: Version = None
    ) -> Response:  # fmt: skip
        """Store a policy; the empty document takes the stored one away, and what code declares is in force again."""
        asker.must_own(name)
        one = examine(_one_of(text, name), name, stores.clock.now_ns())
        policy_checks.add_circles(stores, [one])
        _refuse([one])
        _must_be_shared(stores, asker, one)
        kept = Source(_stored(stores, name).source.place)  # what is changed by hand still is that file's, but of no commit
        (view,) = _put(stores, {name: one.document}, asker.who(author), reason, kept, if_version=if_version)
        return answer(_item(stores, asker.reads, view))

    @router.get("/policies", response_model=expectation_models.Stored)
    def list_stored(reads: Reads, source: Place = None) -> Response:
        """The policies that somebody stored, by name, in whole; those from one source with `source`."""
        found = [view for view in there.all_stored() if reads.allows(view.workflow) and source in (None, view.source.place)]
        return answer({"items": [shape.stored_item(view) for view in found], "next": None})

    @router.post("/policies", response_model=expectation_models.Applied, openapi_extra=TEXT_BODY, dependencies=[access.admin])
    def apply(
        text: Given, asker: Owning, author: Author = None, reason: Reason = None, dry_run: bool = False, source: Place = None,
        revision: Revision = None, prune: Prune = False, as_of: AsOf = None,
    ) -> Response:  # fmt: skip
        """Store several policies; none of them when anything is wrong with one. With `dry_run` say what would be in force."""
        now_ns = stores.clock.now_ns()
        found = [*usable(text, now_ns), *_pruned(stores, asker, text, source, prune)]
        policy_checks.add_circles(stores, found)
        _refuse(found)
        _must_all_be_theirs(stores, asker, found)
        before = {each.workflow: _stored(stores, each.workflow) for each in found}
        came = Source(source, revision)
        changes = {each.workflow: _change(before[each.workflow], each.document, came) for each in found}
        if not dry_run:
            given = {each.workflow: each.document for each in found if changes[each.workflow] != "same"}
            _put(stores, given, asker.who(author), reason, came, as_of)
        views = [_as_if(stores, each, came) if dry_run and changes[each.workflow] != "same" else _stored(stores, each.workflow)
                 for each in found]  # fmt: skip
        items = [
            {
                **_item(stores, asker.reads, view, list(changes)),
                "change": changes[view.workflow],
                "before": before[view.workflow].stored,
            }
            for view in views
        ]
        return answer({"items": items, "next": None, "applied": not dry_run, "as_of": str(now_ns)})

    return router


def _put(
    stores: Stores, given: dict[str, dict[str, Any]], author: str, reason: str | None, source: Source,
    as_of: int | None = None, if_version: int | None = None,
) -> list[PolicyView]:  # fmt: skip
    """Store documents. Raises ApiError when others were faster."""
    there, now_ns = stores.expectations.policies, stores.clock.now_ns()
    try:
        return there.put(given, author=author, reason=reason, now_ns=now_ns, source=source, as_of_ns=as_of, if_version=if_version)
    except PolicyChanged as newer:
        when = f"{newer.author!r} stored version {newer.version} at {shape.iso(newer.created_ns)}"
        hint = "nothing was stored; look at it with `rota policy diff`, then apply again"
        raise ApiError(409, "changed", f"the policy of {newer.workflow!r} was changed meanwhile: {when}", hint) from newer


def _pruned(stores: Stores, asker: Asker, text: Text, source: str | None, prune: bool) -> list[Examined]:
    """The empty documents of what was stored from that source, and is not in it any more."""
    if not prune:
        return []
    if source is None:
        raise ApiError(422, "invalid", "prune needs a source", "name it: `source=github.com/acme/etl/rota.yaml`")
    named = {each.get("workflow") for each in text.documents() if isinstance(each, dict)}
    gone = [name for name in stores.expectations.policies.from_source(source) if name not in named]
    for name in gone:
        asker.must_own(name)
    return [Examined(name, {}, [], []) for name in gone]


def usable(text: Text, now_ns: int) -> list[Examined]:
    """The documents of a text. Raises ApiError when there is none, or anything is wrong with one."""
    found = examine_all(text.documents(), now_ns)
    if not found:
        raise ApiError(422, "invalid", "there is no document in it", "each begins with `workflow: NAME`")
    _refuse(found)
    return found


def _one_of(text: Text, name: str) -> object:
    documents = text.documents()
    if len(documents) != 1 or not name:
        hint = "PUT takes one; POST /api/v1/policies several"
        raise ApiError(422, "invalid", f"{len(documents)} documents for {name!r}", hint)
    return documents[0]


def _must_be_shared(stores: Stores, asker: Asker, one: Examined) -> None:
    """Raises ApiError when a document waits for a workflow that is neither of the asker's nor shared with them for that."""
    if asker.own.is_everything:
        return
    after = ((one.document.get("schedule") or {}).get("after") or {}).get("workflow")
    awaited = [*([after] if after else []), *((one.document.get("expect") or {}).get("upstream") or ())]
    awaited += [name for gate in gates.of(one.document) for name in upstream_of(gate)]
    shared = stores.expectations.policies.shared
    for name in awaited:
        if not asker.own.allows(name) and not shares(shared.get(name, {}), "gate", asker.own.spelled):
            raise asker.beyond(f"{name!r}, whose policy does not share it: `share: {{gate: [...]}}`")


def _must_all_be_theirs(stores: Stores, asker: Asker, found: list[Examined]) -> None:
    for each in found:
        asker.must_own(each.workflow)
        _must_be_shared(stores, asker, each)


def _view(stores: Stores, name: str) -> PolicyView | None:
    """The policy of a workflow; an empty one of a workflow that only ran; None: nobody knows it."""
    view = stores.expectations.policies.view(name)
    if view is None and stores.control.workflow(name, stores.clock.now_ns()) is not None:
        return PolicyView(name, 0, {}, None, None, [])
    return view


def _item(stores: Stores, reads: Reach, view: PolicyView, also: Sequence[str] = ()) -> dict[str, Any]:
    errors, warnings = of_schedule(view.in_force, stores.clock.now_ns())
    return shape.policy_item(view, errors + warnings + policy_checks.warnings(stores, reads, view, also))


def _stored(stores: Stores, name: str) -> PolicyView:
    return stores.expectations.policies.view(name) or PolicyView(name, 0, {}, None, None, [])


def _change(before: PolicyView, document: dict[str, Any], source: Source) -> str:
    """What becomes of a stored document. What is as it was has no further version, unless it comes from another place now."""
    if not document:
        return "removed" if before.stored else "same"
    if before.stored is None:
        return "new"
    is_same = json.dumps(ordered(before.stored)) == json.dumps(ordered(document))
    return "same" if is_same and source.place in (None, before.source.place) else "changed"


def _as_if(stores: Stores, one: Examined, source: Source) -> PolicyView:
    """What the policy would be with this document stored."""
    view = _stored(stores, one.workflow)
    in_force = merge(view.declared or {}, one.document)
    return view._replace(version=view.version + 1, in_force=in_force, stored=one.document or None, source=source)


def _refuse(found: list[Examined]) -> None:
    """Raises ApiError with every problem of every document."""
    several = len(found) > 1
    problems = [f"{each.workflow or 'document %d' % i}: {text}" if several else text
                for i, each in enumerate(found, 1) for text in each.problems]  # fmt: skip
    if problems:
        raise ApiError(422, "bad_policy", "nothing was stored: " + "; ".join(problems))
