"""Who may send telemetry, and from where anybody may ask for anything while there is no key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rota_collector.config import Address, is_loopback
from rota_collector.domain.rate import NO_LIMIT, Rates
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.errors import ConfigError, NoKey, NotAllowed, StoreError, TooOften
from rota_collector.store.keys import INGEST, Key, Keys

_GUARDED = ("/api/", "/metrics")
_MAKE_ONE = "`rota key create --scope ingest` makes one, on the collector's host with an admin key; then set ROTA_TOKEN_FILE"
_ELSEWHERE = (
    "no key was made yet, and as long as there is none only this machine is answered: "
    "`rota key create --scope admin`, on the collector's host, makes the first"
)


class Gate:
    """Asks who sends telemetry for a key, as soon as there is one but for pings."""

    def __init__(self, keys: Keys, rates: Rates = NO_LIMIT) -> None:
        self._keys, self._rates = keys, rates

    def admit(self, authorization: str, *, is_local: bool) -> Reach:
        """The workflows that the sender may speak of. ``authorization``: the header, empty if there was none.

        Raises NoKey, NotAllowed, TooOften; StoreError when nobody can look.
        """
        if self._keys.is_open:
            if not is_local:
                raise NoKey(_ELSEWHERE)
            return EVERYTHING
        key = find(self._keys, authorization)
        if not key.may(INGEST):
            raise NotAllowed(f"telemetry needs a key of the scope ingest, and {key.shown!r} is of {key.scope}; {_MAKE_ONE}")
        if wait_seconds := self._rates.wait_seconds(key.id):
            raise TooOften(f"{key.shown!r} sends more than {self._rates.per_second:g} requests a second", wait_seconds)
        return key.reach


def find(keys: Keys, authorization: str) -> Key:
    """The key in a header ``Authorization``. Raises NoKey, StoreError."""
    kind, _, plain = authorization.partition(" ")
    if kind.lower() != "bearer" or not plain.strip():
        raise NoKey(f"this needs a key, and came without `Authorization: Bearer KEY`; {_MAKE_ONE}")
    key = keys.find(plain.strip())
    if key is None:
        raise NoKey(f"this needs a key, and the one that came is unknown, was revoked, or has expired; {_MAKE_ONE}")
    return key


def authorization_in(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The header ``Authorization`` of an ASGI request; empty: there is none."""
    return next((value for name, value in headers if name == b"authorization"), b"").decode("latin-1")


class Nearby:
    """ASGI around the API: as long as there is no key, nobody is answered but this machine."""

    def __init__(self, app: Any, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if not is_local(scope) and scope["path"].startswith(_GUARDED) and self._is_open():
            await _refuse(send)
        else:
            await self._app(scope, receive, send)

    def _is_open(self) -> bool:
        try:
            return self._keys.is_open
        except StoreError:  # whoever answers cannot look either, and says so
            return True


async def _refuse(send: Any) -> None:
    body = ('{"error":{"code":"no_key","message":"%s","hint":null}}' % _ELSEWHERE).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"www-authenticate", b"Bearer")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_local(scope: Any) -> bool:
    """Whether an ASGI request comes from this machine: over loopback, or over a unix socket, which has no address."""
    client = scope.get("client")
    return client is None or not client[0] or is_loopback(client[0].removeprefix("::ffff:"))


def refuse_open_ports(keys: Keys, **addresses: Address | None) -> None:
    """Raises ConfigError when one of these settings lets other machines in, and there is no key to ask them for."""
    for name, address in addresses.items():
        if address is not None and not is_loopback(address.host) and keys.is_open:
            raise ConfigError(
                f"{name}={str(address)!r} can be reached from other machines, and no key was made that they could be asked for. "
                f"Start it on loopback ({name}=127.0.0.1:{address.port}), make one with `rota key create --scope admin`, and "
                f"start again. Without TLS keys can be read on their way: put a proxy with TLS in front, or turn it on here."
            )
