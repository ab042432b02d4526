"""Facts that gates rest on and that only this host can tell: probes, what is free, what code on the host says.

A policy comes over the network, so it can only name what the host allows: an address that is asked with GET, a file that is
looked at, a SELECT on a database opened for reading, a command or an entry point registered here. Nothing of it is executed as it
is.
"""

from __future__ import annotations

import json
import os
import time
from importlib import import_module

from rota.rules.durations import seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from rota.rules.gates import Gate

ENTRY_POINTS = "rota.gates"
COMMANDS = "commands.json"
_TIMEOUT_SECONDS = 10.0
_LONGEST_SAID = 200  # characters


class Unknown(Exception):
    """The fact cannot be found out here; says why."""


def find(gate: Gate, home: str) -> Mapping[str, Any]:
    """The facts that ``rota.rules.gates`` wants for a gate of a kind in ``gates.ON_HOST``. ``home``: ``$ROTA_HOME``.

    Raises:
        Unknown: they cannot be found out: nobody registered the command, the database is no database.
    """
    try:
        return _OF_KIND[gate.kind](gate.terms, home)
    except (OSError, ValueError) as error:
        raise Unknown("%s: %s" % (type(error).__name__, error)) from error


def _probe(terms: Mapping[str, Any], home: str) -> Mapping[str, Any]:
    kind = next(name for name in _PROBES if terms.get(name))
    is_well, said = _PROBES[kind](terms, home)
    return {"is_well": is_well, "said": said[:_LONGEST_SAID]}


def _http(terms: Mapping[str, Any], _home: str) -> tuple[bool, str]:
    from urllib.error import HTTPError
    from urllib.request import Request, build_opener

    if not terms["http"].startswith(("http://", "https://")):
        raise Unknown("%s is no http address" % terms["http"])
    request = Request(terms["http"], headers={"User-Agent": "rota-probe"})
    try:
        with build_opener().open(request, timeout=_timeout(terms)) as answer:
            status = answer.status
    except HTTPError as error:
        status = error.code
    except OSError as error:  # nobody answers: that is the very thing a probe is asked for
        return False, "%s does not answer: %s" % (terms["http"], error)
    wanted = terms.get("expect")
    return status == wanted if wanted is not None else 200 <= status < 300, "%s answers %d" % (terms["http"], status)


def _file(terms: Mapping[str, Any], _home: str) -> tuple[bool, str]:
    try:
        status = os.stat(terms["file"])
    except (FileNotFoundError, NotADirectoryError):
        return False, "%s is not there" % terms["file"]
    age = time.time() - status.st_mtime
    if terms.get("fresh_within") is not None and age > seconds(str(terms["fresh_within"])):
        return False, "%s was changed %d s ago" % (terms["file"], age)
    return True, "%s is there, changed %d s ago" % (terms["file"], age)


def _sql(terms: Mapping[str, Any], _home: str) -> tuple[bool, str]:
    if not terms.get("database"):
        raise Unknown("sql without database: name a file")
    value = (_in_sqlite if _is_sqlite(terms["database"]) else _in_duckdb)(terms["database"], terms["sql"], _timeout(terms))
    wanted = terms.get("expect")
    return bool(value) if wanted is None else value == wanted, "the first value is %r" % (value,)


def _is_sqlite(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(15) == b"SQLite format 3"


def _in_sqlite(path: str, query: str, timeout_seconds: float) -> Any:
    import sqlite3
    from urllib.parse import quote

    connection = sqlite3.connect("file:%s?mode=ro" % quote(path), uri=True, timeout=timeout_seconds)
    try:
        ends_at = time.monotonic() + timeout_seconds
        connection.set_authorizer(_may_read)
        connection.set_progress_handler(lambda: time.monotonic() > ends_at, 10_000)
        row = connection.execute(query).fetchone()
    except sqlite3.Error as error:
        raise Unknown("%s: %s" % (path, error)) from error
    finally:
        connection.close()
    return row[0] if row else None


def _may_read(action: int, *_about: Any) -> int:
    """What a SELECT does: SQLITE_SELECT, _READ, _FUNCTION, _RECURSIVE; not ATTACH, which makes files, nor PRAGMA."""
    return 0 if action in (21, 20, 31, 33) else 1


def _in_duckdb(path: str, query: str, _timeout_seconds: float) -> Any:
    try:
        duckdb = import_module("duckdb")  # the user's, for a file of theirs: rota's own code on a host needs none
    except ImportError:
        raise Unknown("%s is no SQLite file, and duckdb is not installed here" % path) from None
    try:
        with duckdb.connect(path, read_only=True, config={"enable_external_access": "false"}) as connection:
            row = connection.execute(query).fetchone()
    except duckdb.Error as error:
        raise Unknown("%s: %s" % (path, error)) from error
    return row[0] if row else None


def _command(terms: Mapping[str, Any], home: str) -> tuple[bool, str]:
    """Run a registered command, in a process of its own, without our standard input or output."""
    import subprocess

    words = _registered(terms["command"], home)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_timeout(terms),
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False, "%s took longer than %g s" % (terms["command"], _timeout(terms))
    return done.returncode == (terms.get("expect") or 0), "%s ended with %d" % (terms["command"], done.returncode)


def _registered(name: str, home: str) -> list[str]:
    path = os.path.join(home, COMMANDS)
    try:
        with open(path, encoding="utf-8") as file:
            words = json.load(file).get(name)
    except FileNotFoundError:
        words = None
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise Unknown('the host has no command %r: write {"%s": ["/path/to/program", "argument"]} into %s' % (name, name, path))
    return words


def _host(terms: Mapping[str, Any], _home: str) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    if terms.get("disk_free"):
        status = os.statvfs(terms.get("path") or ".")
        found["disk_free_bytes"] = status.f_bavail * status.f_frsize
    if terms.get("memory_free"):
        found["memory_free_bytes"] = _available_memory()
    if terms.get("load_below"):
        found["load"] = os.getloadavg()[0] / (os.cpu_count() or 1)
    return found


def _available_memory() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    raise Unknown("the system does not tell how much memory is available")


def _python(terms: Mapping[str, Any], _home: str) -> Mapping[str, Any]:
    try:
        returned = _entry_point(terms["call"])()
    except Unknown:
        raise
    except Exception as error:  # somebody else's code: whatever it raises is an answer that we do not have
        raise Unknown("%s raised %s: %s" % (terms["call"], type(error).__name__, error)) from error
    return {"returned": returned if isinstance(returned, (bool, str)) else bool(returned)}


def _entry_point(name: str) -> Callable[[], Any]:
    from importlib.metadata import entry_points

    found: Any = entry_points()
    group = found.select(group=ENTRY_POINTS) if hasattr(found, "select") else found.get(ENTRY_POINTS, ())
    for each in group:
        if each.name == name:
            loaded: Callable[[], Any] = each.load()
            return loaded
    raise Unknown("no package here has the entry point %r in the group %s" % (name, ENTRY_POINTS))


def _timeout(terms: Mapping[str, Any]) -> float:
    return seconds(str(terms["timeout"])) if terms.get("timeout") is not None else _TIMEOUT_SECONDS


_PROBES: dict[str, Callable[[Mapping[str, Any], str], tuple[bool, str]]] = {
    "http": _http, "file": _file, "sql": _sql, "command": _command,
}  # fmt: skip
_OF_KIND: dict[str, Callable[[Mapping[str, Any], str], Mapping[str, Any]]] = {"probe": _probe, "host": _host, "python": _python}
