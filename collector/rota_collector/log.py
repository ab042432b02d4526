"""What the collector says, on stderr: a line for people, or an object for machines; never a secret, never a flood.

Everything goes through ``say``. It works before the settings are read; ``configure`` says what they want of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rota_collector.clock import Clock, SystemClock
from rota_collector.domain.exposition import series

LEVELS = DEBUG, INFO, WARN, ERROR = "debug", "info", "warn", "error"
FORMATS = TEXT, JSON = "text", "json"
BURST, WINDOW_SECONDS = 5, 60.0  # so many lines of a kind are said in so long
_MOST_KINDS = 1000
_SECRETS = (
    (re.compile(r"\b(r[proab]_)[A-Za-z0-9_-]{16,}"), r"\1***"),  # our keys
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1***@"),  # the password in an address
    (re.compile(r"(?i)\b(bearer |basic )[A-Za-z0-9._~+/=-]{8,}"), r"\1***"),
    (re.compile(r"(/ping/)[^/\s]{16,}"), r"\1***"),
)


class Log:
    """Says lines through ``write``, each whole and with its end."""

    def __init__(self, write: Callable[[str], object], clock: Clock) -> None:
        self._write, self._clock, self._lock = write, clock, threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}  # of lines → when its window began, how many came in it
        self.as_json, self.least = False, INFO
        self.said: Counter[str] = Counter()  # lines, by level
        self.left_out = 0

    def say(self, text: str, level: str = INFO, kind: str = "") -> None:
        """One line. Of a ``kind`` (else: of a text) only a few are said a minute; the next then tells how many were not."""
        if LEVELS.index(level) < LEVELS.index(self.least):
            return
        with self._lock:
            left_out = self._left_out(kind or text)
            if left_out is None:
                self.left_out += 1
                return
            self.said[level] += 1
            more = f" ({left_out} more like it were not said)" if left_out else ""
            self._write(self._line(_without_secrets(text) + more, level))

    def _left_out(self, kind: str) -> int | None:
        """How many of this kind were left out before this one; None: so is this one."""
        now = self._clock.monotonic()
        began, count = self._kinds.pop(kind, (now, 0))
        if now - began >= WINDOW_SECONDS:
            left_out = max(0, count - BURST)
            began, count = now, 0
        else:
            left_out = 0
        self._kinds[kind] = began, count + 1
        if len(self._kinds) > _MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]  # the one that was said the longest ago
        return left_out if count < BURST else None

    def _line(self, text: str, level: str) -> str:
        if not self.as_json:
            return f"rota collector: {_printable(text)}\n"
        at = datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": at, "level": level, "message": text}, ensure_ascii=False) + "\n"


def _without_secrets(text: str) -> str:
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _printable(text: str) -> str:
    """Line ends stay (a stack has many); nothing else moves a terminal's cursor."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text.rstrip("\n"))


def _to_stderr(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()


_log = Log(_to_stderr, SystemClock())
say = _log.say


def configure(log_format: str, least: str) -> None:
    """How to say things from now on: one of FORMATS, and one of LEVELS."""
    _log.as_json, _log.least = log_format == JSON, least


def of_loop(_loop: object, context: dict[str, Any]) -> None:
    """An event loop's handler of what nobody waits for any more: one line instead of a stack.

    Not said is that a future was done before: anyio still tells a read that was given up that its socket is ready.
    """
    error = context.get("exception")
    if not isinstance(error, asyncio.InvalidStateError):
        why = f": {type(error).__name__}: {error}" if error else ""
        say(f"{context['message']}{why}", ERROR, "event loop")


def counted(role: str) -> dict[str, float]:
    """How much was said by this process, whose ``role`` tells it from the collector's others."""
    lines = {series("rota_log_lines_total", process=role, level=level): _log.said[level] for level in LEVELS}
    return {**lines, series("rota_log_suppressed_total", process=role): _log.left_out}
