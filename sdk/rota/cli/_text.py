"""What people read: aligned columns, times of this place, durations, colours. Nothing a script wrote can move the cursor."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timezone
from typing import NamedTuple

from rota.rules.fold import NONTERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

GAP = "  "
_LEAST = 8  # columns are not squeezed below this
_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "grey": "90", "bold": "1"}
_COLOUR_OF_STATE = {
    "succeeded": "green", "running": "blue", "starting": "blue", "cancelling": "yellow", "cancelled": "yellow", "ended": "yellow",
    "failed": "red", "crashed": "red", "timed_out": "red", "upstream_failed": "red", "skipped": "grey",
}  # fmt: skip
_COLOUR_OF_VERDICT = {"on_time": "green", "early": "yellow", "late": "yellow", "missed": "red"}
_MARKS = {"green": "✓", "red": "✗", "blue": "…", "yellow": "-", "grey": "·"}


class Cell(NamedTuple):
    """A text with a colour (None: none). ``right`` aligns it as numbers are."""

    text: str
    colour: str | None = None
    right: bool = False


def on_terminal() -> bool:
    """Whether somebody looks at the output as it comes."""
    return sys.stdout.isatty()


def clean(text: object) -> str:
    """``text`` on one line, with every control and formatting character written out."""
    return "".join(c if c.isprintable() else _written_out(c) for c in str(text))


def clean_lines(text: str) -> str:
    """``clean`` for text whose line breaks and tabs are meant."""
    return "\n".join(GAP.join(clean(part) for part in line.split("\t")) for line in text.splitlines())


def _written_out(c: str) -> str:
    return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(c) or ("\\x%02x" % ord(c) if ord(c) < 256 else "\\u%04x" % ord(c))


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings. On a terminal, the widest columns give way until a row fits."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([_width(heading)] + [_width(row[i].text) for row in cells]) for i, heading in enumerate(headings)]
    _squeeze(widths)
    print(_line([Cell(heading, "grey", cells[0][i].right if cells else False) for i, heading in enumerate(headings)], widths))
    for row in cells:
        print(_line(row, widths))


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return value._replace(text=clean(value.text))
    return Cell(clean("" if value is None else value), None, isinstance(value, (int, float)) and not isinstance(value, bool))


def _squeeze(widths: list[int]) -> None:
    if not on_terminal():
        return
    from shutil import get_terminal_size

    room = get_terminal_size().columns - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1


def _line(cells: Sequence[Cell], widths: Sequence[int]) -> str:
    parts = []
    for cell, width in zip(cells, widths):
        text = _cut(cell.text, width)
        space = " " * (width - _width(text))
        parts.append(space + coloured(text, cell.colour) if cell.right else coloured(text, cell.colour) + space)
    return GAP.join(parts).rstrip()


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while text and _width(text) >= width:
        text = text[:-1]
    return text + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def coloured(text: str, colour: str | None) -> str:
    """``text`` in a colour, where that can be seen and is wanted (https://no-color.org)."""
    if not colour or not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return "\x1b[%sm%s\x1b[0m" % (_COLOURS[colour], text)


def state_cell(state: str, reason: str | None = None) -> Cell:
    """A state in its colour, with the reason behind it when that says more."""
    return Cell("%s (%s)" % (state, reason) if reason else state, _COLOUR_OF_STATE.get(state))


def verdict_cell(verdict: str | None, reason: str | None = None) -> Cell:
    """What became of a slot, in its colour; empty while nobody knows."""
    said = "%s (%s)" % (verdict, reason) if verdict and reason else verdict or ""
    return Cell(said, _COLOUR_OF_VERDICT.get(verdict or "", "grey"))


def marks(states: Sequence[str]) -> str:
    """One mark a state: ✓ good, ✗ bad, … not over, - and · counted neither way."""
    return "".join(_MARKS.get(_COLOUR_OF_STATE.get(state, "blue"), "…") for state in states)


def parse_time(text: str | None) -> datetime | None:
    """A time of the API (ISO-8601, UTC, Z)."""
    return datetime.fromisoformat(text[:-1] + "+00:00") if text else None


def when(text: str | None, now: datetime | None = None) -> str:
    """A time of the API as people here say it, with its age: ``14:03:05, 3 min ago``."""
    at = parse_time(text)
    if at is None:
        return ""
    now = now or datetime.now(timezone.utc)
    local, today = at.astimezone(), now.astimezone()
    if local.date() == today.date():
        shown = local.strftime("%H:%M:%S")
    else:
        shown = local.strftime("%d %b %H:%M" if local.year == today.year else "%Y-%m-%d %H:%M")
    return "%s, %s" % (shown, age((now - at).total_seconds()))


def age(seconds: float) -> str:
    """``3 min ago``. A clock ahead of ours is said, not hidden."""
    if seconds < -1:
        return "in " + _largest_unit(-seconds)
    return "now" if seconds < 1 else _largest_unit(seconds) + " ago"


def _largest_unit(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return "%d %s" % (seconds // size, unit)
    return "%d s" % seconds


def duration(seconds: float | None) -> str:
    """``340 ms``, ``12.3 s``, ``4 min 10 s``, ``2 h 05 min``, ``3 d 04 h``; empty when not known."""
    if seconds is None:
        return ""
    if seconds < 1:
        return "%.3g ms" % (seconds * 1000)
    if seconds < 60:
        return "%.1f s" % seconds
    whole = int(seconds)
    if whole < 3600:
        return "%d min %02d s" % divmod(whole, 60)
    if whole < 86400:
        return "%d h %02d min" % divmod(whole // 60, 60)
    return "%d d %02d h" % divmod(whole // 3600, 24)


def took(item: dict[str, object], now: datetime | None = None) -> Cell:
    """How long a run or task took, or has been running."""
    seconds, started = item.get("duration_seconds"), parse_time(item.get("started_at"))  # type: ignore[arg-type]
    if seconds is None and started is not None and item["state"] in NONTERMINAL:
        so_far = ((now or datetime.now(timezone.utc)) - started).total_seconds()
        return Cell("%s so far" % duration(max(0.0, so_far)), None, True)
    return Cell(duration(seconds), None, True)  # type: ignore[arg-type]


def json_items(items: Sequence[object]) -> None:
    """Print a list of the API as JSON, an item a line."""
    print("[" + ",\n ".join(json.dumps(item) for item in items) + "]")


def json_item(item: object) -> None:
    """Print one item of the API as JSON."""
    print(json.dumps(item, indent=2))
