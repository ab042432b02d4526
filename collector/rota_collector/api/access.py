"""Who asks, and what they may.

Two steps, so that neither can be forgotten. ``Door`` stands before every path below ``/api/v1``, and before ``/metrics``: as
soon as there is a key, who has none is answered 401, whatever is asked for and before a body is read. Who may what stands
beside each route, as ``dependencies=[access.operate]``: `read` is the default; a route that does more than read and does not
say so stops the start.

A key may be for some workflows only. A route that looks after that takes ``Reads`` (what the key may read, and what is shared
with it) or ``Owning`` (what it may change); one that takes neither is for keys that are for all workflows, so that a route that
nobody thought about shows nobody what is not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Request, Response, Security, params
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from pydantic import AwareDatetime, BaseModel, Field

from rota.rules.sharing import shares
from rota_collector.api import shape
from rota_collector.api.envelope import ApiError, answer, refusal
from rota_collector.api.stores import Stores
from rota_collector.asgi import App, Message, Receive, Send
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import StoreError
from rota_collector.store import audit
from rota_collector.store.keys import ADMIN, INGEST, OPERATE, PING, READ, Key, Keys, includes

_CLOSED = ("/api/v1/", "/metrics")  # paths that begin so need a key
_FOR_ANYBODY = ("/api/v1/openapi.json",)  # what can be asked for is no secret
_READING = {"GET", "HEAD"}
_BEARER = HTTPBearer(scheme_name="key", description="of `rota key create`; none while there is no key", auto_error=False)


class Asker(NamedTuple):
    """Who sent a request. While the API is open nobody can be told from anybody: no name, and everything is allowed.

    ``own``: the workflows that the key is for; ``reads``: those, and the ones whose policies share reading with it.
    """

    name: str | None
    scope: str
    is_open: bool
    own: Reach = EVERYTHING
    reads: Reach = EVERYTHING
    expires_ns: int | None = None

    def may(self, needed: str) -> bool:
        """Whether the scope includes ``needed``."""
        return includes(self.scope, needed)

    def who(self, said: str | None) -> str:
        """Whose a change is, for the record: who they say that they are, else the name of their key."""
        return said or self.name or "api"

    def must_own(self, workflow: str) -> None:
        """Raises ApiError when the key is not for a workflow; reading may be shared, changing is not."""
        if not self.own.allows(workflow):
            raise self.beyond(f"{workflow!r}")

    def must_cover(self, pattern: str) -> None:
        """Raises ApiError when the key is not for all workflows that a pattern matches."""
        if not self.own.covers(pattern):
            raise self.beyond(f"all that {pattern!r} matches")

    def beyond(self, what: str) -> ApiError:
        """The answer to a request that goes beyond the workflows of the key."""
        return ApiError(403, "beyond_key", f"{self.name!r} is a key for {self.own}, and this is about {what}", _WIDER)


_WIDER = "whoever has an admin key makes one for these workflows: `rota key create --pattern PATTERN`"
_ANYBODY = Asker(None, ADMIN, is_open=True)


class Door:
    """ASGI around ``app``: notes who asks, and below ``/api/v1`` answers nobody without a key once there is one.

    ``shared`` tells the policies that share something, by workflow.
    """

    def __init__(
        self, app: App, keys: Keys, shared: Callable[[], Mapping[str, Any]] = dict, rates: Rates = NO_LIMIT
    ) -> None:  # fmt: skip
        self._app, self._keys, self._shared, self._rates = app, keys, shared, rates

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = self._app
        if scope["type"] == "http" and scope["path"].startswith(_CLOSED) and scope["path"] not in _FOR_ANYBODY:
            try:
                asker = self._asker(key_in(scope))
                audit.KEY.set(asker.name)
                scope.setdefault("state", {})["asker"] = asker
            except _TurnedAway as turned:
                app = turned.answer_to(f"{scope['method']} {scope['path']}")
            except StoreError as error:
                app = refusal(503, "keys_unreadable", str(error), "the collector's stderr says more")
        await app(scope, receive, send)

    def _asker(self, plain: str) -> Asker:
        if self._keys.is_open:
            return _ANYBODY
        if not plain:
            raise _stranger("it came without `Authorization: Bearer KEY`")
        key = self._keys.find(plain)
        if key is None:
            raise _stranger("the one that came with it is unknown, was revoked, or has expired")
        if key.scope == PING:
            raise _stranger(f"the one that came with it is for {key.scope} only")
        if wait_seconds := self._rates.wait_seconds(key.id):
            what = f"came too soon: {key.shown!r} asks more than {self._rates.per_second:g} times a second"
            hint = "ask less often, or raise ROTA_API_RATE"
            raise _TurnedAway(429, "too_often", what, hint, ("Retry-After", str(wait_seconds)))
        return Asker(key.shown, key.scope, False, key.reach, self._reads(key), key.expires_ns)

    def _reads(self, key: Key) -> Reach:
        own = key.reach
        if own.is_everything:
            return own
        return own.and_names(name for name, policy in self._shared().items() if shares(policy, "read", own.spelled))


class _TurnedAway(Exception):
    """A request that goes no further; the message says why."""

    def __init__(self, status: int, code: str, message: str, hint: str, header: tuple[str, str]) -> None:
        super().__init__(message)
        self._status, self._code, self._hint, self._header = status, code, hint, header

    def answer_to(self, request: str) -> Response:
        """The answer to ``request`` (method and path)."""
        response = refusal(self._status, self._code, f"{request} {self}", self._hint)
        name, value = self._header
        response.headers[name] = value
        return response


def _stranger(what: str) -> _TurnedAway:
    """It came without a valid key; ``what`` is wrong with what it has."""
    hint = "`rota key create --scope read` makes one, on the collector's host with an admin key; then set ROTA_TOKEN"
    return _TurnedAway(401, "no_key", f"needs a key: {what}", hint, ("WWW-Authenticate", "Bearer"))


def key_in(scope: Message) -> str:
    """The key that a request carries; empty: none."""
    kind, _, plain = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    return plain.strip() if kind.lower() == "bearer" else ""


async def _check(request: Request, needed: SecurityScopes, _key: Annotated[object, Security(_BEARER)]) -> None:
    """Refuse who may not; ``_key`` is for the OpenAPI document. Async, as a plain function would cost a hop to a thread.

    First the scopes, those too that the route itself names and that are asked for after this one; then how far the key reaches.
    """
    asker: Asker = request.state.asker
    route: APIRoute = request.scope["route"]
    for scope in (*needed.scopes, *_named(route)):
        if not asker.may(scope):
            what = f"{request.method} {request.url.path} needs a key of the scope {scope}"
            hint = f"whoever has an admin key makes one: `rota key create --scope {scope}`"
            raise ApiError(403, "not_allowed", f"{what}, and {asker.name!r} is of {asker.scope}", hint)
    if needed.scopes and not asker.own.is_everything and not _minds_reach(route):
        raise asker.beyond("more than single workflows")


def may_ask(request: Request, route: APIRoute) -> bool:
    """Whether the asker has the scopes that a route itself names, which then sees to how far the key reaches."""
    asker: Asker = request.state.asker
    return all(asker.may(scope) for scope in _named(route)) and _minds_reach(route)


def _named(route: APIRoute) -> list[str]:
    """The scopes that a route itself names."""
    return [scope for each in route.dependencies if isinstance(each, params.Security) for scope in each.scopes or ()]


def _minds_reach(route: APIRoute) -> bool:
    """Whether a route itself sees to it that a key gets no further than it may."""
    return any(each.call in (_owner_of, _reads_of) for each in route.dependant.dependencies)


async def _asker_of(request: Request) -> Asker:
    asker: Asker = request.state.asker
    return asker


async def _owner_of(request: Request) -> Asker:
    asker: Asker = request.state.asker
    return asker


async def _reads_of(request: Request) -> Reach:
    asker: Asker = request.state.asker
    return asker.reads


ingest, read, operate, admin = (Security(_check, scopes=[scope]) for scope in (INGEST, READ, OPERATE, ADMIN))
known = Security(_check, scopes=[])  # any key but one for pings
Asking = Annotated[Asker, Depends(_asker_of)]
Owning = Annotated[Asker, Depends(_owner_of)]  # whose route holds what it changes against ``own``
Reads = Annotated[Reach, Depends(_reads_of)]


def declared(router: APIRouter) -> APIRouter:
    """``router``. Raises TypeError when a route that does more than read does not say what a key needs for it."""
    for route in router.routes:
        if not isinstance(route, APIRoute):
            continue
        changing = set(route.methods or ()) - _READING
        if changing and not any(each in (ingest, read, operate, admin) for each in route.dependencies):
            what = f"{'|'.join(sorted(changing))} {route.path}"
            raise TypeError(f"{what} does not say what a key needs for it: dependencies=[access.operate], or read, or admin")
    return router


class Me(BaseModel):
    """Who asks."""

    name: str | None = Field(description="of the key, or its scope and the beginning of its id; null while no key is needed")
    scope: Literal["ingest", "read", "operate", "admin"] = Field(
        description="operate includes ingest and read, admin all of them"
    )
    is_open: bool = Field(description="there is no key of these scopes, and none is needed")
    workflows: list[str] | None = Field(description="the names and patterns that the key is for; null: all workflows")
    expires_at: AwareDatetime | None


def router(_stores: Stores) -> APIRouter:
    """``/api/v1/me``."""
    router = APIRouter(prefix="/api/v1/me", tags=["keys"])

    @router.get("", response_model=Me)
    def get_me(asker: Asking) -> Response:
        """Who asks, and what they may."""
        own = None if asker.own.is_everything else [*asker.own.patterns, *asker.own.names]
        about = {"name": asker.name, "scope": asker.scope, "is_open": asker.is_open, "workflows": own}
        return answer({**about, "expires_at": shape.iso(asker.expires_ns)})

    return router
