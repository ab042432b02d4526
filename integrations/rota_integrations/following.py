"""Observers from outside: a process of their own looks at a system's history again and again (``rota observe SYSTEM``).

What a look tells is told by ids made of names, so one look too many does no harm, and after a restart the next one catches up.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import sys
import time
from typing import Any, Callable, Generic, Protocol, TypeVar

from rota import _config
from rota.foreign import Source
from rota.rules.durations import seconds
from rota.wire.ids import span_id
from rota_integrations.scheduled import Scheduled
from rota_integrations.waiting import Waiting

Found = TypeVar("Found")

NOT_UNDERSTOOD = (KeyError, TypeError, ValueError, AttributeError)  # what reading an answer may come to

_MOST_SAID = 100
_said: set[str] = set()
_LONGEST_SECONDS = 60.0  # between looks at a system that does not answer
_SAID_EVERY_SECONDS = 10.0  # that somebody looks


def add_since(parser: argparse.ArgumentParser) -> None:
    """``--since`` of those who look at a history: seconds, in ``since``."""
    parser.add_argument(
        "--since", type=_duration, default="24h", metavar="DURATION", help="at the first look, how far back (24h)"
    )


def _duration(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None  # it would say but the function's name


def zone(text: str) -> str:
    """A time zone's name, for an option. Raises ArgumentTypeError where this host has zones (and Python 3.9), and it is none."""
    try:
        from zoneinfo import available_timezones
    except ImportError:
        return text
    known = available_timezones()
    if known and text not in known:
        raise argparse.ArgumentTypeError("there is no time zone %r: write it like Europe/Berlin" % text)
    return text


class Later(Exception):
    """The system asks to be left alone for that many seconds; None where it does not say how long: twice as long each time."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__("asked to wait" + ("" if seconds is None else " for %g s" % seconds))
        self.seconds = seconds


class Follower(Protocol):
    """Looks at one system. A room's ``follower(options)`` makes it. What it may have besides:

    - a text ``where``, which tells the place from others of the same system: each has a memory of its own;
    - a text ``host``: it sees only what runs there;
    - a method ``schedules``, which says after each look what is scheduled now: by workflow, what ``Source.schedule`` tells;
    - a ``bell``, which is given a function once, to be called from any thread whenever it is worth a look.
    """

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: JSON, empty at first, kept when all was told: it is there again at the next look, also after a restart.

        Raises:
            Later: it is too early to ask again.
            Exception: it could not be looked at; what was told by then is told again.
        """
        ...


def follow(
    system: str, follower: Follower, every_seconds: float, *, once: bool = False, told: Callable[[], object] | None = None,
    wait: Callable[[float], bool] | None = None,
) -> int:  # fmt: skip
    """Look until SIGTERM or SIGINT comes; what goes wrong is said once on standard error, and tried again.

    Args:
        system: names the file of the memory.
        follower: looks.
        every_seconds: between the end of a look and the next.
        once: look once.
        told: has what was told leave; ``Source.leave`` when left out.
        wait: that many seconds; whether it is over. Left out: until a signal comes, or the follower's bell rings.

    Returns:
        Exit status: 1 when the only look of ``once`` failed, or came too early; when another process looks at the same place.
    """
    wait = wait or Waiting()
    source = Source(system)
    try:
        kept = _Kept(source, follower)
    except BlockingIOError:
        _say(system, "another `rota observe %s` with this ROTA_HOME looks at the same place. Stop that one first" % system)
        return 1
    try:
        if once:
            return _look_once(system, kept, told or source.leave)
        bell = getattr(follower, "bell", None)
        if bell is not None and isinstance(wait, Waiting):
            bell(wait.ring)
        return _look_on(system, kept, every_seconds, told or source.leave, wait)
    finally:
        kept.close()


def _look_once(system: str, kept: _Kept, leave: Callable[[], object]) -> int:
    """Whoever has it looked once says when it is looked again, or not at all: nobody is told that somebody looks on."""
    try:
        kept.look()
        leave()
        kept.keep()
    except Exception as error:  # noqa: BLE001  whatever a system or its client library does
        _say(system, "could not look (%s)" % _said_of(error))
        return 1
    return 0


def _look_on(
    system: str, kept: _Kept, every_seconds: float, leave: Callable[[], object], wait: Callable[[float], bool]
) -> int:  # fmt: skip
    problem, wait_seconds = "", every_seconds
    looking = _Looking(kept)
    listen = wait.listen if isinstance(wait, Waiting) else wait
    while True:
        began_ns, rest = time.time_ns(), listen
        try:
            kept.look()
            looking.tell(began_ns, every_seconds)
            leave()
            kept.keep()
            if problem:
                _say(system, "looks again")
            problem, wait_seconds = "", every_seconds
        except Exception as error:  # noqa: BLE001  whatever a system or its client library does
            is_early, said = isinstance(error, Later), _said_of(error)
            if not is_early and said != problem:
                _say(system, "could not look (%s). It is tried again" % said)
                problem = said
            asked = error.seconds if isinstance(error, Later) else None
            wait_seconds = min(_LONGEST_SECONDS, 2 * wait_seconds) if asked is None else asked
            wait_seconds = max(every_seconds, wait_seconds)
            rest = wait  # whoever rings
            looking.tell(began_ns, wait_seconds, said)
            with contextlib.suppress(Exception):
                leave()
        if rest(wait_seconds):
            return 0


def _said_of(error: Exception) -> str:
    return str(error) if isinstance(error, Later) else "%s: %s" % (type(error).__name__, error)


class _Looking:
    """Says now and then, and when that changes, that somebody looks at a system, or cannot.

    Args:
        kept: whose follower looks.
    """

    def __init__(self, kept: _Kept) -> None:
        self._kept = kept
        self._problem, self._told_at = "", -_SAID_EVERY_SECONDS

    def tell(self, began_ns: int, every_seconds: float, problem: str = "") -> None:
        """A look that began then (Unix time) is over, and the next one comes in ``every_seconds``."""
        if problem == self._problem and time.monotonic() - self._told_at < _SAID_EVERY_SECONDS:
            return
        self._problem, self._told_at = problem, time.monotonic()
        every_seconds = max(every_seconds, _SAID_EVERY_SECONDS)
        self._kept.source.looked(self._kept.place, began_ns, every_seconds, problem, self._kept.host)


class Seldom(Generic[Found]):
    """What changes seldom, and is asked for only when it was not for a while.

    Args:
        read: asks.
        believed_seconds: how long an answer holds.
    """

    def __init__(self, read: Callable[[], Found], believed_seconds: float) -> None:
        self._read, self._believed_seconds = read, believed_seconds
        self._found: list[Found] = []
        self._read_at = 0.0

    def __call__(self) -> Found:
        """The last answer, or a new one. Raises what ``read`` does."""
        if not self._found or time.monotonic() - self._read_at > self._believed_seconds:
            self._found, self._read_at = [self._read()], time.monotonic()
        return self._found[0]


def puzzled(system: str, what: str, error: Exception) -> None:
    """Say, once, that an answer is not understood, where the rest of it can be told without.

    Args:
        system: its name.
        what: of the answer is left out; a word for all of its kind, as each is said once.
        error: what came of reading it.
    """
    text = "%s is not understood, and left out (%s: %s)" % (what, type(error).__name__, error)
    if text not in _said and len(_said) < _MOST_SAID:
        _said.add(text)
        _say(system, text)


class _Kept:
    """A follower and its memory: a file that is replaced as a whole, when what was learned was told.

    Raises:
        BlockingIOError: another process has that memory.
    """

    def __init__(self, source: Source, follower: Follower) -> None:
        where = getattr(follower, "where", "")
        self.place = span_id(where) if where else ""  # which may hold what is nobody else's business
        self.host: str | None = getattr(follower, "host", None)
        name = "-".join(filter(None, (source.system, self.place)))
        self._path = os.path.join(_config.home(), "observers", name + ".json")
        self.source, self._follower = source, follower
        self._system = source.system
        self._lock = self._locked()
        self._text = self._read()

    def close(self) -> None:
        """Leave the memory to others."""
        if self._lock is not None:
            os.close(self._lock)

    def _locked(self) -> int | None:
        """A descriptor that holds the lock; None where there can be no memory, which the first look says."""
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            lock = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        return lock

    def look(self) -> None:
        """Look once more. Raises what the follower does."""
        self._kept = json.loads(self._text)
        self._follower.look(self._kept.setdefault("seen", {}))
        self._tell_schedules(self._kept.setdefault("schedules", {}))

    def keep(self) -> None:
        """All that the last look told has left: remember what it learned. Raises OSError."""
        text = json.dumps(self._kept)
        if text != self._text:
            self._write(text)

    def _tell_schedules(self, told: dict[str, dict[str, str]]) -> None:
        read = getattr(self._follower, "schedules", None)
        if read is None:
            return
        try:
            found = read()
        except Exception as error:  # noqa: BLE001  runs are told without them
            puzzled(self._system, "what is scheduled", error)
        else:
            Scheduled(self.source, told).tell(found)

    def _read(self) -> str:
        try:
            with open(self._path, encoding="utf-8") as file:
                text = file.read()
            if not isinstance(json.loads(text), dict):
                raise TypeError("no JSON object")
            return text
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError) as error:
            _say(self._system, "%s cannot be read (%s): everything is looked at anew" % (self._path, error))
        return "{}"

    def _write(self, text: str) -> None:
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        with open(self._path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._path + ".new", self._path)
        self._text = text


def _say(system: str, text: str) -> None:
    sys.stderr.write("rota observe %s: %s\n" % (system, text))
    sys.stderr.flush()
