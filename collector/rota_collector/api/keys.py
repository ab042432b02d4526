"""Keys: made, listed without their secret, revoked."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime, BaseModel, Field

from rota_collector.api import models, shape
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.stores import Stores
from rota_collector.store.keys import SCOPES, Key

_VALUE = re.compile(r"[A-Za-z0-9_-]{22,100}", re.ASCII)  # a UUID, or a random text of 128 bits and more
_WORKFLOW_PART = "<workflow>"


class NewKey(BaseModel):
    """What a key is for: one workflow, or, without one, all whose names match a pattern."""

    scope: str = Field(description=f"one of {', '.join(SCOPES)}")
    name: str = Field("", max_length=200, description="for people, in lists")
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
    path: str = Field(description=f"where to ping; {_WORKFLOW_PART} stands for a workflow's name")


class Revoked(BaseModel):
    """A key that is none any more."""

    removed: str


def router(stores: Stores) -> APIRouter:
    """``/api/v1/keys``."""
    router = APIRouter(prefix="/api/v1/keys", tags=["keys"])
    there = stores.keys

    @router.post("", response_model=MadeKey)
    def create(body: NewKey) -> Response:
        """Make a key. The answer is the only place where it is shown."""
        _check(body)
        made = there.create(
            body.scope, name=body.name, workflow=body.workflow, pattern=body.pattern, now_ns=stores.clock.now_ns(),
            value=body.value,
        )  # fmt: skip
        if made is None:
            raise ApiError(409, "key_taken", "this value is a key already", "GET /api/v1/keys lists them; revoke it first")
        key, plain = made
        path = f"/ping/{plain}" if key.workflow else f"/ping/{plain}/{_WORKFLOW_PART}"
        return answer({**_item(key), "key": plain, "path": path})

    @router.get("", response_model=models.Items[KeyItem])
    def list_keys() -> Response:
        """All keys, the oldest first, revoked ones too."""
        return answer({"items": [_item(key) for key in there.all()], "next": None})

    @router.delete("/{key_id}", response_model=Revoked)
    def revoke(key_id: str) -> Response:
        """Take a key away for good: who uses it is answered 404 from now on."""
        if not there.revoke(key_id, stores.clock.now_ns()):
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
