"""Log records as lines. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from rota.wire import names
from rota_dashboard.shape import words
from rota_dashboard.shape.words import Item, parsed

_LONGEST = 4_000  # characters of a record
_TONES = {"warn": "warn", "warning": "warn", "error": "bad", "fatal": "bad", "critical": "bad"}


def lines(found: Sequence[Item], zone: tzinfo, most: int, *, is_narrowed: bool) -> Item:
    """The last ``most`` records, and what there is to say about how many they are."""
    shown = found[-most:]
    if not shown:
        note = "Nothing matches." if is_narrowed else "It said nothing that reached rota."
    else:
        note = f"The last {most:,}; search to find earlier ones." if len(found) > most else ""
    return {"lines": [line(each, zone) for each in shown], "note": note}


def line(record: Item, zone: tzinfo) -> Item:
    """A record as one line, or several."""
    severity = str(record["severity"] or "").lower()
    stack = record["attributes"].get(names.EXCEPTION_STACK)
    body = text_of(record["body"]) or str(record["event_name"] or "")
    if record["event_name"] == names.OUTPUT_EVENT:
        severity = str(record["attributes"].get(names.OUTPUT_STREAM) or "output")
    return {
        "at": f"{parsed(record['at']).astimezone(zone):%H:%M:%S.%f}"[:-3] if record["at"] else "",
        "severity": severity.upper() if severity not in ("stdout", "stderr", "output") else severity,
        "tone": _TONES.get(severity, ""),
        "text": words.cut(f"{body}\n{stack}" if stack else body, _LONGEST).rstrip("\n"),
    }


def text_of(body: Any) -> str:
    """The body of a record: text as it is, anything else as JSON."""
    return "" if body is None else body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
