"""What people are told: notices of incidents → messages that somebody can act on. Pure.

What users wrote (names, errors) is inert in it: control characters are written out, and every part has a bound.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from heapq import nsmallest
from typing import Any, NamedTuple
from urllib.parse import quote
from zoneinfo import ZoneInfo

from rota.rules.durations import words

MOST_SINGLE = 5  # of one batch for one channel; more of them become one digest
SHOWN = 20  # of a digest, and of the workflows of a group
TITLE_CHARS, TEXT_BYTES, LINE_CHARS, ERROR_LINES = 120, 4096, 300, 10
_DIGEST_LINE_CHARS = 150  # twenty of them fit

_WHAT = {
    "missed": "missed its time",
    "failed": "failed",
    "too_long": "takes too long",
    "too_short": "ended too soon",
    "silent": "is silent",
    "rule": "is not as its rules want it",
    "host_silent": "is silent",
    "observer_silent": "is not looked at",
    "downtime": "what ran while rota was down is not known",
}
_FIRST_WORD = {"opened": "", "escalated": "Escalated: ", "reminder": "Still: ", "retracted": "Taken back: ", "closed": "Over: "}
_URGENCY = {name: place for place, name in enumerate(("opened", "escalated", "reminder", "retracted", "closed"))}


class Notice(NamedTuple):
    """One transition of one incident, as the monitor saw it. Times are Unix ns."""

    incident_id: str
    transition: str  # opened | closed | retracted | reminder | escalated
    kind: str  # missed | failed | too_long | too_short | silent | rule | host_silent | observer_silent | downtime
    workflow: str  # "" when it is not of one
    host: str  # likewise
    at_ns: int
    since_ns: int  # since when it has been wrong
    summary: str  # one sentence: "no run started within 15 min of its time"
    run_id: str | None
    last_good_ns: int | None
    error: str | None  # last lines of the error, or of the output
    due_ns: int | None
    tz: str | None  # of the schedule; None: UTC
    members: tuple[str, ...] = ()  # the workflows of a grouped incident
    channels: tuple[str, ...] | None = None  # None: every channel; (): nobody


class Message(NamedTuple):
    """What goes to one channel. ``id`` is the same however often it is composed; ``payload`` is what a machine reads."""

    id: str
    channel: str
    title: str
    text: str
    payload: dict[str, Any]


def compose(notices: Sequence[Notice], channels: Sequence[str], dashboard_url: str) -> list[Message]:
    """The messages of one batch, in the order of their channels.

    Args:
        notices: what happened. One that names only channels that are not there goes to all: rather too many than nobody.
        channels: the names of those that are there.
        dashboard_url: where people look, as ``http://127.0.0.1:8501``.
    """
    known = frozenset(channels)
    messages = []
    for channel in channels:
        chosen = [notice for notice in notices if _goes_to(notice, channel, known)]
        if len(chosen) > MOST_SINGLE:
            messages.append(_digest(chosen, channel, dashboard_url))
        else:
            messages += [_single(notice, channel, dashboard_url) for notice in chosen]
    return messages


def _goes_to(notice: Notice, channel: str, known: frozenset[str]) -> bool:
    named = notice.channels
    return named is None or channel in named or (bool(named) and known.isdisjoint(named))


def _single(notice: Notice, channel: str, dashboard_url: str) -> Message:
    title = cut(_said(notice), TITLE_CHARS)
    return _message([notice], channel, title, _lines(notice, dashboard_url), dashboard_url)


def _digest(notices: Sequence[Notice], channel: str, dashboard_url: str) -> Message:
    counts = Counter(notice.transition for notice in notices)
    said = ", ".join(f"{counts[name]:,} {name}" for name in sorted(counts, key=_urgency))
    shown = _most_urgent(notices)
    lines = [cut(f"- {_said(each)}: {each.summary}", _DIGEST_LINE_CHARS) for each in shown]
    if len(notices) > SHOWN:
        lines.append(f"and {len(notices) - SHOWN:,} more")
    lines.append(f"all of them: {dashboard_url}/")
    return _message(notices, channel, cut(f"{len(notices):,} alerts: {said}", TITLE_CHARS), lines, dashboard_url)


def _message(notices: Sequence[Notice], channel: str, title: str, lines: Iterable[str], dashboard_url: str) -> Message:
    of = "\n".join(f"{notice.incident_id}/{notice.transition}/{notice.at_ns}" for notice in notices)
    identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"rota:alert/{channel}/{of}"))
    end = f"\nalert {identity}"
    text = cut_bytes("\n".join(lines), TEXT_BYTES - len(end)) + end
    payload = {
        "type": "alert",
        "id": identity,
        "timestamp": _iso(max(notice.at_ns for notice in notices)),
        "title": title,
        "text": text,
        "count": len(notices),
        "incidents": [_item(notice, dashboard_url) for notice in _most_urgent(notices)],
    }
    return Message(identity, channel, title, text, payload)


def _most_urgent(notices: Sequence[Notice]) -> list[Notice]:
    return nsmallest(SHOWN, notices, key=lambda notice: _urgency(notice.transition))


def _urgency(transition: str) -> int:
    return _URGENCY.get(transition, len(_URGENCY))


def _said(notice: Notice) -> str:
    return _FIRST_WORD.get(notice.transition, "") + _headline(notice)


def _headline(notice: Notice) -> str:
    subject = notice.workflow or notice.host
    where = f" on {notice.host}" if notice.workflow and notice.host else ""
    what = _WHAT.get(notice.kind, notice.kind)
    return f"{cut(subject, 70)}{cut(where, 30)} {what}" if subject else what


def _lines(notice: Notice, dashboard_url: str) -> list[str]:
    """What a person needs, the most important first."""
    lines = [cut(f"{_said(notice)}: {notice.summary}", LINE_CHARS)]
    if notice.transition in ("closed", "retracted"):
        lines.append(f"it was so for {_length(notice.since_ns, notice.at_ns)}, since {_time(notice.since_ns, notice.tz)}")
    else:
        lines.append(f"since: {_when(notice.since_ns, notice)}")
    if notice.due_ns is not None and notice.due_ns != notice.since_ns:
        lines.append(f"it was due: {_when(notice.due_ns, notice)}")
    if notice.last_good_ns is not None:
        lines.append(f"last good run: {_when(notice.last_good_ns, notice)}")
    if notice.members:
        lines.append(f"workflows: {_names(notice.members)}")
    if notice.error:
        lines += ["error:", *(f"    {line}" for line in tail(notice.error))]
    return [*lines, f"look at: {_address(notice, dashboard_url)}"]


def _names(members: Collection[str]) -> str:
    shown = ", ".join(cut(name, 100) for name in list(members)[:SHOWN])
    return f"{shown} and {len(members) - SHOWN:,} more" if len(members) > SHOWN else shown


def _address(notice: Notice, dashboard_url: str) -> str:
    if notice.run_id:
        return f"{dashboard_url}/run?id={quote(notice.run_id, safe='', errors='replace')}"
    return (
        f"{dashboard_url}/?workflow={quote(notice.workflow[:200], safe='', errors='replace')}"
        if notice.workflow
        else f"{dashboard_url}/"
    )


def _item(notice: Notice, dashboard_url: str) -> dict[str, Any]:
    """A notice as a machine reads it; names as they are."""
    return {
        "id": notice.incident_id,
        "transition": notice.transition,
        "kind": notice.kind,
        "workflow": notice.workflow or None,
        "host": notice.host or None,
        "at": _iso(notice.at_ns),
        "since_at": _iso(notice.since_ns),
        "due_at": None if notice.due_ns is None else _iso(notice.due_ns),
        "last_good_at": None if notice.last_good_ns is None else _iso(notice.last_good_ns),
        "summary": cut(notice.summary, LINE_CHARS),
        "error": "\n".join(tail(notice.error)) if notice.error else None,
        "run_id": notice.run_id,
        "url": _address(notice, dashboard_url),
        "workflows": list(notice.members[:SHOWN]),
        "workflow_count": len(notice.members) or int(bool(notice.workflow)),
    }


# -- times -----------------------------------------------------------------------------------------------------------


def _when(at_ns: int, notice: Notice) -> str:
    return f"{_time(at_ns, notice.tz)} ({_length(at_ns, notice.at_ns)} before this alert)"


def _length(from_ns: int, until_ns: int) -> str:
    return words(max(0, until_ns - from_ns) / 1e9)


def _time(at_ns: int, tz: str | None) -> str:
    """A time where the schedule is at home, to the second."""
    try:
        zone = ZoneInfo(tz or "UTC")
    except (KeyError, ValueError, OSError):  # a zone that this machine no longer knows must not silence the alert
        zone = ZoneInfo("UTC")
    return f"{datetime.fromtimestamp(at_ns // 10**9, zone):%Y-%m-%d %H:%M:%S} {zone.key}"


def _iso(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, 10**9)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


# -- what users wrote ------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """``text`` on one line, with every control and formatting character written out."""
    return "".join(c if c.isprintable() else _written_out(c) for c in text)


def cut(text: str, most: int) -> str:
    """``clean`` text of ``most`` characters at most."""
    shown = clean(text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def cut_bytes(text: str, most: int) -> str:
    """``text`` of ``most`` bytes (UTF-8) at most, cut between characters."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "…"


def tail(text: str) -> list[str]:
    """The last lines of an error or an output, each bounded."""
    kept = text[-ERROR_LINES * LINE_CHARS * 2 :].rstrip().splitlines()[-ERROR_LINES:]
    return [cut(line.replace("\t", "    "), LINE_CHARS) for line in kept]


def _written_out(c: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c) or (f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}")
