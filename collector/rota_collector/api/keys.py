"""Keys: made, listed without their secret, revoked."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota_collector.api import access, models, shape
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.stores import Stores
from rota_collector.errors import AdminFirst, LastAdmin
from rota_collector.store.keys import PING, SCOPES, Key, Keys

_VALUE = re.compile(r"[A-Za-z0-9_-]{22,100}", re.ASCII)  # a UUID, or a random text of 128 bits and more
_WORKFLOW_PART = "<workflow>"


class NewKey(BaseModel):
    """What a key is for. One that pings: for one workflow, or, without one, for all whose names match a pattern."""

    scope: str = Field(description=f"one of {', '.join(SCOPES)}; each of the last three includes the ones before it")
    name: str = Field("", max_length=200, description="for people: in lists, and in the record of what is done with it")
    workflow: str | None = Field(None, min_length=1, max_length=500)
    pattern: str | None = Field(None, min_length=1, max_length=500, description="of workflows, as `etl.*`; null: any")
    value: str | None = Field(None, description="a key from elsewhere, as the UUID of a Healthchecks check; null: a new one")


class KeyItem(BaseModel):
    """A key, without the key itself."""

    id: str
    scope: str
    name: str
    workflow: str | None
    pattern: str | None
    created_at: AwareDatetime
    revoked_at: AwareDatetime | None


class MadeKey(KeyItem):
    """A key and its secret, this once."""

    key: str
    path: str | None = Field(description=f"where to ping; {_WORKFLOW_PART} stands for a workflow's name; null: not for pings")


class Revoked(BaseModel):
    """A key that is none any more."""

    removed: str


def router(stores: Stores) -> APIRouter:
    """``/api/v1/keys``."""
    router = APIRouter(prefix="/api/v1/keys", tags=["keys"])
    there = stores.keys

    @router.post("", response_model=MadeKey, dependencies=[access.admin])
    def create(body: NewKey) -> Response:
        """Make a key. The answer is the only place where it is shown."""
        _check(body)
        key, plain = _make(there, body, stores.clock.now_ns())
        return answer({**_item(key), "key": plain, "path": _path(key, plain)})

    @router.get("", response_model=models.Items[KeyItem], dependencies=[access.admin])
    def list_keys() -> Response:
        """All keys, the oldest first, revoked ones too."""
        return answer({"items": [_item(key) for key in there.all()], "next": None})

    @router.delete("/{key_id}", response_model=Revoked, dependencies=[access.admin])
    def revoke(key_id: str) -> Response:
        """Take a key away for good: from now on who pings with it is answered 404, who asks with it 401."""
        if not _revoke(there, key_id, stores.clock.now_ns()):
            raise ApiError(404, "not_found", f"no key {key_id!r} that is valid", "GET /api/v1/keys lists them")
        return answer({"removed": key_id})

    return router


def _check(asked: NewKey) -> None:
    if asked.scope not in SCOPES:
        message = f"keys of the scope {asked.scope!r} do not exist in this version"
        raise ApiError(422, "unknown_scope", message, f"there is {', '.join(SCOPES)}")
    if asked.workflow is not None and asked.pattern is not None:
        raise ApiError(422, "invalid", "both workflow and pattern are given", "a key is for one workflow, or for a pattern")
    if asked.value is not None and not _VALUE.fullmatch(asked.value):
        message = "this value can be guessed, or does not fit into an address"
        raise ApiError(422, "invalid", message, "give a UUID, or 22 to 100 random characters of A-Z, a-z, 0-9, - and _")
    given = [name for name in ("workflow", "pattern", "value") if getattr(asked, name) is not None]
    if given and asked.scope != PING:
        message = f"{' and '.join(given)} with scope={asked.scope!r}: limits by workflow exist for ping keys only in this version"
        raise ApiError(422, "invalid", message, f"leave out {' and '.join(given)}")


def _make(there: Keys, asked: NewKey, now_ns: int) -> tuple[Key, str]:
    try:
        made = there.create(
            asked.scope, name=asked.name, workflow=asked.workflow, pattern=asked.pattern, now_ns=now_ns, value=asked.value
        )
    except AdminFirst as error:
        raise ApiError(409, "admin_first", str(error), "`rota key create --scope admin` makes one") from error
    if made is None:
        raise ApiError(409, "key_taken", "this value is a key already", "GET /api/v1/keys lists them; revoke it first")
    return made


def _path(key: Key, plain: str) -> str | None:
    if key.scope != PING:
        return None
    return f"/ping/{plain}" if key.workflow else f"/ping/{plain}/{_WORKFLOW_PART}"


def _revoke(there: Keys, key_id: str, now_ns: int) -> bool:
    try:
        return there.revoke(key_id, now_ns)
    except LastAdmin as error:
        raise ApiError(409, "last_admin", str(error), "revoke those first, or make another admin key") from error


def _item(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "scope": key.scope,
        "name": key.name,
        "workflow": key.workflow,
        "pattern": key.pattern,
        "created_at": shape.iso(key.created_ns),
        "revoked_at": shape.iso(key.revoked_ns),
    }
