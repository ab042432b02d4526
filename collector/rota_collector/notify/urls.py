"""Addresses of channels: what may be told at once, and what of them people may see. They hold passwords and tokens."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from rota_collector.notify import guard

MOST_CHARS = 4096
_SHORTEST_SECRET = 6
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PARTS = re.compile(r"[/:@?&=#,;+]+")


def why_not(url: str, *, allow_private: bool) -> str | None:
    """Why an address is refused before anybody tries it; None: nothing speaks against it yet."""
    if len(url) > MOST_CHARS:
        return f"it has {len(url):,} characters, and {MOST_CHARS:,} are the most"
    if not url.isprintable() or any(c.isspace() for c in url):
        return "it holds spaces or control characters; write them as %20 and the like"
    if not _SCHEME.match(url):
        return "it has no scheme. Examples: https://host/path for a webhook, mailto://user:password@host, slack://…"
    return _why_not_parts(url, allow_private)


def _why_not_parts(url: str, allow_private: bool) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"it cannot be read: {error}" if _is_web(url) else None  # what looks odd may be a token of Apprise
    if not host:
        return "it names no host" if _is_web(url) else None
    return None if allow_private else _why_not_host(host, is_web=_is_web(url))


def _why_not_host(host: str, *, is_web: bool) -> str | None:
    if is_web and (host == "localhost" or host.endswith(".localhost")):
        return f"{host} is this machine; {guard.ALLOW}"
    address = _literal(host, is_web=is_web)
    return guard.why_not(address) if address is not None else None


def _literal(host: str, *, is_web: bool) -> str | None:
    """The address that ``host`` spells; the C library also knows 2130706433 and 0177.1, which may be tokens of Apprise."""
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return str(IPv4Address(socket.inet_aton(host))) if is_web else None
    except OSError:
        return None


def shown(url: str) -> str:
    """A webhook's address for people: without user, password, path and query, which may all be secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{_place(parts)}{'/…' if parts.path.strip('/') or parts.query else ''}"
    except ValueError:
        return url.partition("://")[0] + "://…"


def _place(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")


def without_secrets(text: str, url: str) -> str:
    """``text`` without the parts of ``url`` that may be secret, as libraries like to put them into their errors."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    secrets = {part for form in (url, unquote(url)) for part in _PARTS.split(form.partition("://")[2])}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET and secret.lower() != host:
            text = text.replace(secret, "…")
    return text


def _is_web(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))
