"""Keys: made, listed without their secret, rotated, revoked."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rota_collector.api import access, models, shape
from rota_collector.api.access import Asking
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.parameters import LONGEST_SECONDS, Lasting
from rota_collector.api.stores import Stores
from rota_collector.errors import AdminFirst, LastAdmin
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import PING, SCOPES, Key

_VALUE = re.compile(r"[A-Za-z0-9_-]{22,100}", re.ASCII)  # a UUID, or a random text of 128 bits and more
_WORKFLOW_PART = "<workflow>"
_OVERLAP_SECONDS = 86_400.0

Pattern = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\[\]\r\n]+$")]


class NewKey(Lasting):
    """What a key is for: one workflow, or those whose names match a pattern, or all of them. With an end, or without."""

    scope: str = Field(description=f"one of {', '.join(SCOPES)}; operate includes ingest and read, admin all but ping")
    name: str = Field("", max_length=200, description="for people: in lists, and in the record of what is done with it")
    workflow: str | None = Field(None, min_length=1, max_length=500)
    patterns: list[Pattern] = Field([], max_length=100, description="of workflows, with `*` and `?`, as `etl.*`; none: any")
    value: str | None = Field(None, description="a ping key from elsewhere, as the UUID of a check; null: a new one")


class Rotation(BaseModel):
    """How a key is replaced."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[
        float, Field(ge=0, le=LONGEST_SECONDS, strict=True, description="how long the old one is valid beside the new one")
    ] = _OVERLAP_SECONDS


class KeyItem(BaseModel):
    """A key, without the key itself."""

    id: str
    scope: str
    name: str
    workflow: str | None
    patterns: list[str]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None
    revoked_at: AwareDatetime | None


class MadeKey(KeyItem):
    """A key and its secret, this once."""

    key: str
    path: str | None = Field(description=f"where to ping; {_WORKFLOW_PART} stands for a workflow's name; null: not for pings")


class Revoked(BaseModel):
    """A key that is none any more."""

    removed: str


def router(stores: Stores) -> APIRouter:
    """``/api/v1/keys``. A key that is for some workflows only makes none, not even for these."""
    router = APIRouter(prefix="/api/v1/keys", tags=["keys"])
    there, clock = stores.key_changes, stores.clock

    @router.post("", response_model=MadeKey, dependencies=[access.admin])
    def create(body: NewKey, asker: Asking) -> Response:
        """Make a key. The answer is the only place where it is shown."""
        _check(body)
        key, plain = _make(there, body, clock.now_ns(), asker.who(body.by))
        return answer(_made(key, plain))

    @router.get("", response_model=models.Items[KeyItem], dependencies=[access.admin])
    def list_keys() -> Response:
        """All keys, the oldest first, revoked ones too."""
        return answer({"items": [_item(key) for key in there.all()], "next": None})

    @router.post("/{key_id}/rotate", response_model=MadeKey, dependencies=[access.admin])
    def rotate(key_id: str, asker: Asking, body: Rotation | None = None) -> Response:
        """Make a successor for the same scope and workflows. The old key goes on for a while, then it is none any more."""
        now_ns = clock.now_ns()
        until_ns = now_ns + round((body or Rotation()).overlap_seconds * 1e9)
        made = there.rotate(key_id, now_ns=now_ns, until_ns=until_ns, by=asker.who(None))
        if made is None:
            raise _unknown(key_id)
        return answer(_made(*made))

    @router.delete("/{key_id}", response_model=Revoked, dependencies=[access.admin])
    def revoke(key_id: str, asker: Asking) -> Response:
        """Take a key away for good: from now on who pings with it is answered 404, who asks with it 401."""
        if not _revoke(there, key_id, clock.now_ns(), asker.who(None)):
            raise _unknown(key_id)
        return answer({"removed": key_id})

    return router


def _unknown(key_id: str) -> ApiError:
    return ApiError(404, "not_found", f"no key {key_id!r} that is valid", "GET /api/v1/keys lists them")


def _check(asked: NewKey) -> None:
    if asked.scope not in SCOPES:
        message = f"keys of the scope {asked.scope!r} do not exist"
        raise ApiError(422, "unknown_scope", message, f"there is {', '.join(SCOPES)}")
    if asked.workflow is not None and asked.patterns:
        raise ApiError(422, "invalid", "both workflow and patterns are given", "a key is for one workflow, or for patterns")
    if asked.value is not None and asked.scope != PING:
        raise ApiError(422, "invalid", f"value with scope={asked.scope!r}: only ping keys come from elsewhere", "leave out value")
    if asked.value is not None and not _VALUE.fullmatch(asked.value):
        message = "this value can be guessed, or does not fit into an address"
        raise ApiError(422, "invalid", message, "give a UUID, or 22 to 100 random characters of A-Z, a-z, 0-9, - and _")


def _make(there: KeyChanges, asked: NewKey, now_ns: int, by: str) -> tuple[Key, str]:
    try:
        made = there.create(
            asked.scope, now_ns=now_ns, name=asked.name, workflow=asked.workflow, pattern="\n".join(asked.patterns) or None,
            expires_ns=asked.until_ns(now_ns), value=asked.value, by=by,
        )  # fmt: skip
    except AdminFirst as error:
        raise ApiError(409, "admin_first", str(error), "`rota key create --scope admin` makes one") from error
    if made is None:
        raise ApiError(409, "key_taken", "this value is a key already", "GET /api/v1/keys lists them; revoke it first")
    return made


def _revoke(there: KeyChanges, key_id: str, now_ns: int, by: str) -> bool:
    try:
        return there.revoke(key_id, now_ns, by)
    except LastAdmin as error:
        raise ApiError(409, "last_admin", str(error), "revoke those first, or make another admin key") from error


def _made(key: Key, plain: str) -> dict[str, Any]:
    return {**_item(key), "key": plain, "path": _path(key, plain)}


def _path(key: Key, plain: str) -> str | None:
    if key.scope != PING:
        return None
    return f"/ping/{plain}" if key.workflow else f"/ping/{plain}/{_WORKFLOW_PART}"


def _item(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "scope": key.scope,
        "name": key.name,
        "workflow": key.workflow,
        "patterns": list(key.patterns),
        "created_at": shape.iso(key.created_ns),
        "expires_at": shape.iso(key.expires_ns),
        "revoked_at": shape.iso(key.revoked_ns),
    }
