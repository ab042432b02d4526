"""Who asks, and what they may.

Two steps, so that neither can be forgotten. ``Door`` stands before every path below ``/api/v1``, and before ``/metrics``: as
soon as there is a key, who has none is answered 401, whatever is asked for and before a body is read. Who may what stands
beside each route, as ``dependencies=[access.operate]``: `read` is the default; a route that does more than read and does not
say so stops the start.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from pydantic import BaseModel, Field

from rota_collector.api.envelope import ApiError, answer, refusal
from rota_collector.api.guard import App, Receive, Scope, Send
from rota_collector.api.stores import Stores
from rota_collector.store.keys import API_SCOPES, Keys

_CLOSED = ("/api/v1/", "/metrics")  # paths that begin so need a key
_FOR_ANYBODY = ("/api/v1/openapi.json",)  # what can be asked for is no secret
_READING = {"GET", "HEAD"}
_BEARER = HTTPBearer(scheme_name="key", description="of `rota key create`; none while there is no key", auto_error=False)


class Asker(NamedTuple):
    """Who sent a request. While the API is open nobody can be told from anybody: no name, and everything is allowed."""

    name: str | None
    scope: str
    is_open: bool

    def may(self, needed: str) -> bool:
        """Whether the scope includes ``needed``."""
        return API_SCOPES.index(self.scope) >= API_SCOPES.index(needed)

    def who(self, said: str | None) -> str:
        """Whose a change is, for the record: who they say that they are, else the name of their key."""
        return said or self.name or "api"


_ANYBODY = Asker(None, API_SCOPES[-1], is_open=True)


class Door:
    """ASGI around ``app``: notes who asks, and below ``/api/v1`` answers nobody without a key once there is one."""

    def __init__(self, app: App, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = self._app
        if scope["type"] == "http" and scope["path"].startswith(_CLOSED) and scope["path"] not in _FOR_ANYBODY:
            try:
                scope.setdefault("state", {})["asker"] = self._asker(key_in(scope))
            except _Stranger as stranger:
                app = _no_key(f"{scope['method']} {scope['path']} needs a key: {stranger}")
        await app(scope, receive, send)

    def _asker(self, plain: str) -> Asker:
        if self._keys.is_open:
            return _ANYBODY
        if not plain:
            raise _Stranger("it came without `Authorization: Bearer KEY`")
        key = self._keys.find(plain)
        if key is None:
            raise _Stranger("the one that came with it is unknown, or was revoked")
        if key.scope not in API_SCOPES:
            raise _Stranger(f"the one that came with it is for {key.scope} only")
        return Asker(key.name or key.short, key.scope, is_open=False)


class _Stranger(Exception):
    """A request without a valid key; the message says what is wrong with what it has."""


def key_in(scope: Scope) -> str:
    """The key that a request carries; empty: none."""
    kind, _, plain = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    return plain.strip() if kind.lower() == "bearer" else ""


def _no_key(message: str) -> Response:
    hint = "`rota key create --scope read` makes one, on the collector's host with an admin key; then set ROTA_TOKEN"
    response = refusal(401, "no_key", message, hint)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _check(request: Request, needed: SecurityScopes, _key: Annotated[object, Security(_BEARER)]) -> None:
    """Refuse who may not; ``_key`` is for the OpenAPI document. Async, as a plain function would cost a hop to a thread."""
    asker: Asker = request.state.asker
    (scope,) = needed.scopes
    if not asker.may(scope):
        message = f"{request.method} {request.url.path} needs a key of the scope {scope}, and {asker.name!r} is of {asker.scope}"
        raise ApiError(403, "not_allowed", message, f"whoever has an admin key makes one: `rota key create --scope {scope}`")


async def _asker_of(request: Request) -> Asker:
    asker: Asker = request.state.asker
    return asker


read, operate, admin = (Security(_check, scopes=[scope]) for scope in API_SCOPES)
Asking = Annotated[Asker, Depends(_asker_of)]


def declared(router: APIRouter) -> APIRouter:
    """``router``. Raises TypeError when a route that does more than read does not say what a key needs for it."""
    for route in router.routes:
        if not isinstance(route, APIRoute):
            continue
        changing = set(route.methods or ()) - _READING
        if changing and not any(each in (read, operate, admin) for each in route.dependencies):
            what = f"{'|'.join(sorted(changing))} {route.path}"
            raise TypeError(f"{what} does not say what a key needs for it: dependencies=[access.operate], or read, or admin")
    return router


class Me(BaseModel):
    """Who asks."""

    name: str | None = Field(description="of the key, or its scope and the beginning of its id; null while no key is needed")
    scope: Literal["read", "operate", "admin"] = Field(description="each includes the ones before it")
    is_open: bool = Field(description="there is no key of these scopes, and none is needed")


def router(_stores: Stores) -> APIRouter:
    """``/api/v1/me``."""
    router = APIRouter(prefix="/api/v1/me", tags=["keys"])

    @router.get("", response_model=Me)
    def get_me(asker: Asking) -> Response:
        """Who asks, and what they may."""
        return answer(asker._asdict())

    return router
