"""What the process that sends may not do: reach addresses that are not public, start programs, read or write files.

Audit hooks see every attempt of Python code, also of plugins and of libraries below them, and cannot be taken out again. An
address is looked at when it is connected to, so neither a name that resolves to another one the next time nor a redirect
gets around it. Resolving names is the C library's and goes on working.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
import sysconfig
import threading
from collections.abc import Callable
from typing import Any

SETTING = "ROTA_WEBHOOK_ALLOW_PRIVATE"

ALLOW = f"{SETTING}=1 lets channels reach private addresses"

_PROGRAMS = (
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
    "webbrowser.open",
)  # fmt: skip
_SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# What Python's own tables call public, or do in some versions: protocol assignments (a cloud's metadata among them), the host of
# an Azure machine, site-local addresses, and NAT64 of a network of one's own.
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "168.63.129.16/32", "fec0::/10", "64:ff9b:1::/48")))
_READABLE = (
    "/usr/share/zoneinfo", "/usr/share/locale", "/etc/ssl", "/etc/pki", "/etc/mime.types", "/etc/localtime", "/dev/null",
    "/dev/urandom",
)  # fmt: skip

_seen = threading.local()


class Refused(PermissionError):
    """Something that this process may not do."""


def install(*, allow_private: bool) -> None:
    """From now on and for good. ``allow_private``: every internet address may be reached; the rest stays."""
    checks: dict[str, Callable[[tuple[Any, ...]], None]] = dict.fromkeys(_PROGRAMS, _refuse_program)
    checks.update(dict.fromkeys(_SENDING, _check_family if allow_private else _check_address))
    checks.update({"open": _Files().check, "ctypes.dlopen": _check_library})

    def hook(event: str, args: tuple[Any, ...]) -> None:
        check = checks.get(event)
        if check is not None:
            check(args)

    sys.addaudithook(hook)


def last_refusal() -> str | None:
    """Why something was last refused in this thread, once: libraries wrap it in words of their own."""
    said: str | None = getattr(_seen, "refusal", None)
    _seen.refusal = None
    return said


def why_not(address: object) -> str | None:
    """Why a socket may not be connected to ``address`` (its number as text); None: it may."""
    try:
        found = ipaddress.ip_address(str(address))
    except ValueError:
        return f"{address!r} is not the number of an address"
    if any(not _is_public(each) for each in (found, *_embedded(found))):
        return f"{found} is not a public address; {ALLOW}"
    return None


def _is_public(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether it is one of the whole internet's; one that stands for an IPv4 address by NAT64 is judged by that alone."""
    if found in _NAT64:
        return True
    if found.is_multicast or found.is_reserved or found.is_unspecified or any(found in network for network in _NOT_PUBLIC):
        return False
    return found.is_global


def _embedded(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that a packet to this one may end up at."""
    if isinstance(found, ipaddress.IPv4Address):
        return []
    translated = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None
    inside = [found.ipv4_mapped, found.sixtofour, translated, *(found.teredo or ())]
    return [each for each in inside if each is not None]


def _check_family(args: tuple[Any, ...]) -> None:
    if args[-1] is not None and args[0].family not in (socket.AF_INET, socket.AF_INET6):
        _refuse("only internet addresses can be reached")


def _check_address(args: tuple[Any, ...]) -> None:
    _check_family(args)
    address = args[-1]
    why = None if address is None else why_not(address[0])  # None: of a socket that is connected, looked at then
    if why is not None:
        _refuse(why)


def _check_library(args: tuple[Any, ...]) -> None:
    if args[0] is not None:  # None: Python itself
        _refuse("a channel may not load libraries")


def _refuse_program(_args: tuple[Any, ...]) -> None:
    _refuse("a channel may not start programs")


class _Files:
    """Python's own files, time zones and certificates may be read, and compiled modules written; nothing else is anybody's."""

    def __init__(self) -> None:
        paths = sysconfig.get_paths()
        libraries = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {each for each in sys.path if each}
        self._libraries = tuple(os.path.abspath(each) + os.sep for each in libraries)
        self._readable = tuple(each + os.sep for each in _READABLE)

    def check(self, args: tuple[Any, ...]) -> None:
        """Of the event ``open``: path, mode, flags."""
        path, mode, flags = args
        if isinstance(path, int):
            return
        name = os.path.abspath(os.fsdecode(path))
        writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR)) or any(c in str(mode or "") for c in "wax+")
        if writes:
            is_allowed = name.startswith(self._libraries) and f"{os.sep}__pycache__{os.sep}" in name
        else:
            is_allowed = (name + os.sep).startswith(self._libraries + self._readable)
        if not is_allowed:
            _refuse(f"a channel may not use the file {name}")


def _refuse(why: str) -> None:
    _seen.refusal = why
    raise Refused(why)
