"""``rota doctor``: what is well and what is not between a script here and its collector, a line each."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.error
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import NamedTuple

from rota import _config
from rota.cli import _api, _parts, _text
from rota.errors import ConfigError
from rota.wire.names import COLLECTOR_HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from typing import Iterator

HELP = "check this host's side of rota and the way to the collector"
STALE_SECONDS = 600  # what waits longer than this for the collector waits too long
SILENT_SECONDS = 30  # how long the SDK leaves a silent endpoint alone
RECENT_SECONDS = 86400  # a swallowed error that is older was noticed or does not matter
CLOCK_SECONDS = 5
_SECRET = ("TOKEN", "HEADERS")


class Finding(NamedTuple):
    """The result of one check."""

    check: str
    ok: bool
    message: str


def add_arguments(parser: ArgumentParser) -> None:
    """Add the option of ``rota doctor``."""
    parser.add_argument("--json", action="store_true", help="print the findings as objects")


def run(args: Namespace) -> int:
    """Print every finding; exit status 0 when all is well, 1 otherwise."""
    findings = list(examine())
    if args.json:
        _text.json_items([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            mark = _text.coloured("ok ", "green") if finding.ok else _text.coloured("BAD", "red")
            print("%s  %-9s %s" % (mark, finding.check, _text.clean(finding.message)))
    return 0 if all(finding.ok for finding in findings) else 1


def examine() -> Iterator[Finding]:
    """Every check, in the order in which a fact leaves the script."""
    home = _config.home()
    yield check_settings()
    yield check_home(home)
    yield from check_spool(os.path.join(home, "spool"))
    yield check_errors(os.path.join(home, "errors.jsonl"))
    yield check_agent(_config.agent_sockets(home))
    yield check_silence(os.path.join(home, "spool", "silent"))
    yield from check_endpoint(_config.endpoint())
    yield check_extras()


def check_settings() -> Finding:
    """What the environment sets; it is bad only when it turns rota off."""
    values = [(each.name, os.environ[each.name]) for each in _config.SETTINGS if os.environ.get(each.name)]
    shown = ", ".join("%s=%s" % (name, "(set)" if any(word in name for word in _SECRET) else value) for name, value in values)
    if _config.disabled():
        return Finding("settings", False, "rota is turned off here: scripts are not observed (%s)" % shown)
    return Finding("settings", True, shown or "all as by default")


def check_home(home: str) -> Finding:
    """Whether scripts of this user can write their spool."""
    existing = home
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not (os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)):
        return Finding("home", False, "%s cannot be written (%s): fix its permissions or set ROTA_HOME" % (home, existing))
    if existing != home:
        return Finding("home", True, "%s does not exist yet; the first run makes it" % home)
    disk = os.statvfs(home)
    free = disk.f_bavail * disk.f_frsize
    return Finding("home", free > 1 << 20, "%s is writable, %.1f GiB free" % (home, free / (1 << 30)))


def check_spool(spool: str) -> Iterator[Finding]:
    """What lies in the spool: of running scripts, left for a shipper, and refused."""
    live, left, bad = (_files(os.path.join(spool, name)) for name in ("live", "left", "bad"))
    yield Finding("live", True, "%d files of runs under way or not yet taken over" % len(live))
    waits = max(left, default=0.0)
    text = "%d files wait to be shipped" % len(left) + (", the oldest for %s" % _text.duration(waits) if left else "")
    stale = waits > STALE_SECONDS
    yield Finding("left", not stale, text + (": start `rota agent`, or run `rota agent --once`" if stale else ""))
    text = "%d files with lines that could not be read or were refused" % len(bad)
    yield Finding("bad", not bad, text + (": look into %s" % os.path.join(spool, "bad") if bad else ""))


def _files(directory: str) -> list[float]:
    """The ages in seconds of the files in ``directory``."""
    try:
        return [age for age in map(_age, os.scandir(directory)) if age is not None]
    except OSError:
        return []


def _age(entry: os.DirEntry[str]) -> float | None:
    try:
        return max(0.0, time.time() - entry.stat().st_mtime)
    except FileNotFoundError:
        return None  # shipped meanwhile


def check_errors(path: str) -> Finding:
    """Errors of rota itself that were kept from the scripts they happened in."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        age = time.time() - os.stat(path).st_mtime
    except OSError:
        return Finding("errors", True, "none was kept from a script")
    if not lines:
        return Finding("errors", True, "none was kept from a script")
    text = "%d were kept from scripts, the last %s: %s (all in %s)" % (len(lines), _text.age(age), _last_error(lines[-1]), path)
    return Finding("errors", age > RECENT_SECONDS, text)


def _last_error(line: str) -> str:
    try:
        entry = json.loads(line)
        return "%s in %s" % (entry["error"], entry["where"])
    except (ValueError, KeyError, TypeError):
        return line[:200]


def check_agent(paths: tuple[str, ...]) -> Finding:
    """Whether an agent answers. None is needed; one that is there and does not answer is bad."""
    for path in paths:
        if not os.path.exists(path):
            continue
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(1.0)
            try:
                sock.connect(path)
            except OSError as error:
                return Finding("agent", False, "%s does not answer (%s): start `rota agent`" % (path, _api.reason_of(error)))
        return Finding("agent", True, "answers on %s" % path)
    return Finding("agent", True, "none runs here: scripts send their facts themselves")


def check_silence(marker: str) -> Finding:
    """Whether the SDK leaves the endpoint alone because it took connections and did not answer."""
    try:
        age = time.time() - os.stat(marker).st_mtime
        with open(marker, encoding="utf-8", errors="replace") as file:
            address = file.read(200).strip()
    except OSError:
        return Finding("silence", True, "the endpoint was not found silent")
    if age > SILENT_SECONDS:
        return Finding("silence", True, "%s was silent %s; it is tried again" % (address, _text.age(age)))
    return Finding("silence", False, "%s took a connection and did not answer, %s: is it stuck?" % (address, _text.age(age)))


def check_endpoint(endpoint: str) -> Iterator[Finding]:
    """Whether a rota collector answers at the endpoint, is ready, and has our time."""
    sent_at = time.time()
    try:
        with _api.open_url(endpoint + "/readyz", timeout_seconds=5.0) as answer:
            status, headers, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, headers, body = error.code, error.headers, error.read()
    except ConfigError as error:
        yield Finding("endpoint", False, "%s cannot be asked: %s" % (endpoint, error))
        return
    except (OSError, ValueError, HTTPException) as error:
        said = _api.reason_of(error)
        yield Finding("endpoint", False, "%s cannot be reached (%s). %s" % (endpoint, said, _api.next_step(endpoint, said)))
        return
    version = headers.get(COLLECTOR_HEADER)
    if version is None:
        text = "%s answers, but is no rota collector: another OTLP receiver would swallow what runs say. Set ROTA_ENDPOINT"
        yield Finding("endpoint", False, text % endpoint)
        return
    trouble = _trouble(body) if status != 200 else None
    yield Finding("endpoint", trouble is None, "%s is rota %s, %s" % (endpoint, version, trouble or "ready"))
    yield check_clock(headers.get("Date"), sent_at, time.time())


def _trouble(body: bytes) -> str:
    try:
        return "not ready: %s" % json.loads(body)["trouble"]
    except (ValueError, KeyError, TypeError):
        return "not ready"


def check_clock(date: str | None, sent_at: float, received_at: float) -> Finding:
    """Whether the collector's clock agrees with ours; its Date header counts whole seconds."""
    try:
        theirs = parsedate_to_datetime(date or "").timestamp()
    except (TypeError, ValueError):
        return Finding("clock", True, "the collector does not say what time it is there")
    ahead = max(0.0, theirs - received_at) - max(0.0, sent_at - (theirs + 1))
    if abs(ahead) <= CLOCK_SECONDS:
        return Finding("clock", True, "agrees with the collector's")
    side = "ahead of" if ahead > 0 else "behind"
    return Finding("clock", False, "the collector's clock is %s %s ours: set both by NTP" % (_text.duration(abs(ahead)), side))


def check_extras() -> Finding:
    """Which parts could run in this installation. None must."""
    usable = [part for part in _parts.NEEDS if sys.version_info >= (3, 11) and not _parts.missing(part)]
    return Finding("extras", True, "this installation can run: %s" % ", ".join(["SDK and CLI", *usable]))
