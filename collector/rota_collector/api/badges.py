"""Badges: how a workflow is, as a picture for pages that cannot send a key.

The address of a badge opens that badge and nothing else: it holds a word that is made from a key and the workflow's name, and
that says nothing of the key. It is good as long as the key is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from rota_collector.api.access import key_in
from rota_collector.api.envelope import ApiError, answer
from rota_collector.api.stores import Stores
from rota_collector.api.workflows import unknown
from rota_collector.domain.badge import badge
from rota_collector.store.keys import API_SCOPES, Key

OPEN = "open"  # the word while there is no key
_BYTES = 18
_HEADERS = {
    "Cache-Control": "public, max-age=60",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}


class Badge(BaseModel):
    """Where the badge of a workflow is."""

    path: str = Field(description="for the key that asked: revoke it, and the badge is gone")


def pictures(stores: Stores) -> APIRouter:
    """``/badge``."""
    router = APIRouter(tags=["badges"])

    @router.get("/badge/{word}/{name:path}.svg", response_class=Response)
    def get_badge(word: str, name: str) -> Response:
        """The badge of a workflow: the state of its last run, or that it missed its slot."""
        found = stores.control.workflow(name, stores.clock.now_ns()) if _opens(stores, word, name) else None
        if found is None:
            raise ApiError(404, "not_found", "there is no such badge", "GET /api/v1/workflows/{name}/badge tells the address")
        ahead = stores.expectations.slots.outlooks([name], stores.clock.now_ns()).get(name)
        state = found.last_run.state if found.last_run else "never ran"
        missed = ahead is not None and ahead.verdict == "missed"
        return Response(badge(name, "missed" if missed else state), media_type="image/svg+xml", headers=_HEADERS)

    return router


def router(stores: Stores) -> APIRouter:
    """``/api/v1/workflows/{name}/badge``."""
    router = APIRouter(prefix="/api/v1/workflows", tags=["badges"])

    @router.get("/{name:path}/badge", response_model=Badge)
    def get_address(name: str, request: Request) -> Response:
        """Where the badge of a workflow is, for pages that cannot send a key."""
        if stores.control.workflow(name, stores.clock.now_ns()) is None:
            raise unknown(name)
        key = None if stores.keys.is_open else stores.keys.find(key_in(request.scope))
        return answer({"path": f"/badge/{_word(key, name) if key else OPEN}/{quote(name, safe='')}.svg"})

    return router


def _opens(stores: Stores, word: str, name: str) -> bool:
    if stores.keys.is_open:
        return word == OPEN
    readers = [key for key in stores.keys.all() if key.revoked_ns is None and key.scope in API_SCOPES and key.allows(name)]
    return any(hmac.compare_digest(_word(key, name).encode(), word.encode()) for key in readers)


def _word(key: Key, name: str) -> str:
    made = hmac.digest(key.hash.encode(), b"badge/" + name.encode("utf-8", "replace"), hashlib.sha256)
    return base64.urlsafe_b64encode(made[:_BYTES]).decode()
