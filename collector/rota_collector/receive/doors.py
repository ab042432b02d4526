"""What the doors for other people's clients have in common: who may, the body, the journal, the answer.

As with pings, a key says which workflows its holder may speak of, and the guard of the API does not stand before them: clients
reach the collector by whatever name their network has for it. While there is no key but for pings, a program needs none; a page
in a browser, which names itself in Origin, always does.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import Any, NamedTuple

from rota.wire import names
from rota_collector import __version__
from rota_collector.asgi import Receive, Send
from rota_collector.clock import Clock
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.errors import JournalError, Malformed, StoreError
from rota_collector.journal import Journal, Signal
from rota_collector.receive import bodies
from rota_collector.receive.access import is_local
from rota_collector.receive.answers import RETRY_SECONDS
from rota_collector.receive.otlp import Headers
from rota_collector.store.keys import INGEST, PING, Key, Keys

LARGEST_BODY = 1 << 20  # bytes: it is decoded at once, and others wait for that
_HEADERS: Headers = [
    (b"content-type", b"application/json"),
    (names.COLLECTOR_HEADER.lower().encode(), __version__.encode()),
]


class Refused(Exception):
    """An answer other than a good one."""

    def __init__(self, status: int, code: str, message: str, hint: str = "", *headers: tuple[bytes, bytes]) -> None:
        super().__init__(message)
        self.status, self.code, self.hint, self.headers = status, code, hint, list(headers)


class Asker(NamedTuple):
    """Who speaks. ``key`` is None while none is needed."""

    key: Key | None

    def check(self, workflow: str) -> None:
        """Raises Refused for a workflow that is not the key's."""
        if self.key is not None and not self.key.allows(workflow):
            raise Refused(403, "not_allowed", f"this key is not for {workflow!r}", "a key is made for it with `rota key create`")

    def run_id(self, told: uuid.UUID, workflow: str) -> uuid.UUID:
        """The id of a run of ``workflow`` that its client chose: a limited key must not speak of a run of somebody else."""
        is_limited = self.key is not None and not self.key.reach.is_everything
        return uuid.uuid5(told, workflow) if is_limited else told


class Said(NamedTuple):
    """What a request comes to: requests for the journal, and the answer."""

    requests: list[tuple[Signal, str]]
    answer: Mapping[str, Any]
    status: int = 200


class Request(NamedTuple):
    """What a door reads: the body and when it came (Unix ns). ``headers`` have lower-case names."""

    headers: Mapping[bytes, bytes]
    query: bytes
    body: bytes
    at_ns: int


class Door:
    """ASGI application around ``understand``, which makes of a request what is kept. ``key_of`` finds the key in it, or "".

    A good answer means that the journal has everything on disk.
    """

    def __init__(
        self, journal: Journal, keys: Keys, clock: Clock, max_body: int,
        key_of: Callable[[Request], str], understand: Callable[[Request, Asker], Said], rates: Rates = NO_LIMIT,
    ) -> None:  # fmt: skip
        self._journal, self._keys, self._clock, self._max_body = journal, keys, clock, min(max_body, LARGEST_BODY)
        self._key_of, self._understand, self._rates = key_of, understand, rates

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            said = await self._keep(scope, receive)
            status, body, extra = said.status, dict(said.answer), []
        except bodies.Disconnected:
            return
        except (Refused, bodies.TooLarge, bodies.Corrupt, Malformed, JournalError, StoreError) as error:
            refused = _refusal(error, self._max_body)
            told = {"code": refused.code, "message": str(refused), "hint": refused.hint}
            # `detail` is where Sentry's SDKs look.
            status, body, extra = refused.status, {"error": told, "detail": str(refused)}, refused.headers
        content = json.dumps(body).encode()
        headers = [*_HEADERS, (b"content-length", b"%d" % len(content)), *extra]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _keep(self, scope: MutableMapping[str, Any], receive: Receive) -> Said:
        if scope["method"] != "POST":
            raise Refused(405, "method", f"send POST, not {scope['method']}", "", (b"allow", b"POST"))
        headers = dict(scope["headers"])
        encoding = headers.get(b"content-encoding", b"").strip().lower()
        if encoding not in bodies.ENCODINGS:
            raise Refused(415, "encoding", f"cannot read {encoding.decode('latin-1')}", "send gzip, deflate or no encoding")
        body = bytes(await bodies.read(receive, encoding, self._max_body))
        request = Request(headers, scope["query_string"], body, self._clock.now_ns())
        said = self._understand(request, self._asker(request, is_local=is_local(scope)))
        for signal, line in said.requests:
            await self._journal.append(signal, line.encode("ascii"))
        return said

    def _asker(self, request: Request, *, is_local: bool) -> Asker:
        """Raises Refused."""
        plain = self._key_of(request)
        key = self._keys.find(plain) if plain else None
        if key is not None and (key.scope == PING or key.may(INGEST)):
            if wait_seconds := self._rates.wait_seconds(key.id):
                often = f"{key.shown!r} sends more than {self._rates.per_second:g} requests a second"
                raise Refused(429, "too_often", often, "send it later", (b"retry-after", b"%d" % wait_seconds))
            return Asker(key)
        if is_local and self._keys.is_open and b"origin" not in request.headers:
            return Asker(None)
        hint = "`rota key create --pattern '*'` makes one that says how runs are"
        raise Refused(
            401, "no_key", "the key is unknown, was revoked, or is for something else" if plain else "no key came", hint
        )


def bearer(request: Request) -> str:
    """The key in ``Authorization``."""
    kind, _, plain = request.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return plain.strip() if kind.lower() == "bearer" else ""


def event_id(parts: Iterable[object]) -> str:
    """Always the same id for the same thing said of the same run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "rota:" + "/".join(map(str, parts))))


def _refusal(error: Exception, max_body: int) -> Refused:
    if isinstance(error, Refused):
        return error
    if isinstance(error, bodies.TooLarge):
        return Refused(413, "too_large", f"the body is larger than {max_body} bytes", "send it in parts")
    if isinstance(error, (JournalError, StoreError)):
        return Refused(503, "unavailable", str(error), "send it again", (b"retry-after", b"%d" % RETRY_SECONDS))
    return Refused(400, "malformed", str(error), "")
