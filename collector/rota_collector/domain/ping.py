"""What a ping says, read from its address: Healthchecks' pinging API, with a schedule as an addition. Pure.

``/ping/KEY[/SLUG][/start|/fail|/log|/EXIT STATUS][?rid=UUID&create=1&schedule=…&tz=…&grace=…&max_duration=…]``
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from rota.rules.declared import Declared

PREFIX = "/ping/"
METHODS = ("GET", "POST", "HEAD", "PUT")
BODY_LIMIT = 100_000  # bytes of a body that are kept
TAIL_LINES, TAIL_BYTES = 10, 2048  # of the output, to show with a failure

_START, _FAIL, _LOG = "start", "fail", "log"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NEW_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")  # of a workflow that a ping makes; one that is there may have any name
_LONGEST_NAME = 500
_LONGEST_WORD = 500  # of what is declared


class Refused(Exception):
    """The address is no ping. ``status`` and ``text`` are the answer that Healthchecks gives."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Address(NamedTuple):
    """A path, taken apart; what its parts mean depends on the key."""

    key: str
    rest: tuple[str, ...]


class Ping(NamedTuple):
    """What was said. ``slug`` is None where the key names the workflow; ``rid`` is in lower case."""

    slug: str | None
    action: str  # "" (success), start, fail, log, or an exit status
    rid: str | None = None
    creates: bool = False
    declared: Declared = Declared()

    @property
    def exit_code(self) -> int | None:
        """The exit status, 0–255; None: none was told."""
        return int(self.action) if self.action.isdigit() else None

    @property
    def state(self) -> str | None:
        """What the run is now; None: that does not change."""
        if self.action in (_START, _LOG):
            return "running" if self.action == _START else None
        return "failed" if self.action == _FAIL or self.exit_code else "succeeded"

    @property
    def reason(self) -> str | None:
        """Why it failed, in a word."""
        if self.state != "failed":
            return None
        return "ping" if self.exit_code is None else "exit"

    @property
    def raw_state(self) -> str:
        """The state in the words of the ping, and whether it named its run."""
        return (self.action or "success") + ("?rid" if self.rid else "")


def address(raw_path: str) -> Address:
    """The parts of a path that begins with ``PREFIX``, still percent-encoded. Raises Refused."""
    key, *rest = raw_path[len(PREFIX) :].split("/")
    if rest and not rest[-1]:
        rest.pop()  # Healthchecks takes one slash too many
    if not key or len(rest) > 2 or not all(rest):
        raise Refused(404, "not found")
    return Address(key, tuple(rest))


def read(rest: tuple[str, ...], query: str, *, is_bound: bool) -> Ping:
    """What stands behind the key; ``is_bound``: the key names the workflow, so no slug does. Raises Refused."""
    if len(rest) > 1 if is_bound else not rest:
        raise Refused(404, "not found")
    slug = None if is_bound else _name(rest[0])
    action = _action(rest[-1]) if len(rest) > (not is_bound) else ""
    return _with_query(Ping(slug, action), query) if query else Ping(slug, action)


def may_be_made(ping: Ping) -> bool:
    """Whether the ping makes a workflow that is not there. A log makes none: nothing ran. Raises Refused for its name."""
    if not ping.creates or ping.state is None or ping.slug is None:
        return False
    if not _NEW_NAME.fullmatch(ping.slug):
        raise Refused(400, "invalid url format")
    return True


def text_of(body: bytes | bytearray) -> str:
    """Output as text: what is no UTF-8, and NUL (which ends texts for many programs), is replaced."""
    return body.decode("utf-8", "replace").replace("\0", "\ufffd")


def last_lines(output: str) -> str:
    """The end of some output, short enough for a message."""
    lines = output[-TAIL_BYTES:].replace("\r\n", "\n").rstrip().split("\n")[-TAIL_LINES:]
    return "\n".join(lines).encode("utf-8", "replace")[-TAIL_BYTES:].decode("utf-8", "ignore").strip()


def _name(segment: str) -> str:
    name = unquote(segment)
    if len(name) > _LONGEST_NAME:
        raise Refused(404, "not found")
    return name


def _action(word: str) -> str:
    if word in (_START, _FAIL, _LOG):
        return word
    if not (word.isascii() and word.isdigit()):
        raise Refused(404, "not found")
    if len(word) > 3 or int(word) > 255:
        raise Refused(400, "invalid url format")
    return str(int(word))


def _with_query(ping: Ping, query: str) -> Ping:
    given = dict(parse_qsl(query, keep_blank_values=True))
    rid = given.get("rid")
    if rid is not None and not _UUID.fullmatch(rid):
        raise Refused(400, "invalid url format")
    ping = ping._replace(rid=rid.lower() if rid else None)
    if given.get("create") != "1":
        return ping
    words = {name: given[name][:_LONGEST_WORD] for name in ("schedule", "tz", "grace", "max_duration") if given.get(name)}
    return ping._replace(creates=True, declared=Declared(**words))
