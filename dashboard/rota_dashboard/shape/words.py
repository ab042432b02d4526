"""Words for what people read: outcomes, lengths of time, moments, numbers. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any

Item = dict[str, Any]

# One letter for each outcome, as the browser draws them (``parts/web/marks.js``).
LETTERS = {
    "succeeded": "s", "late": "l", "failed": "f", "missed": "m", "timed_out": "t", "crashed": "c", "upstream_failed": "u",
    "unknown": "?", "skipped": "k", "cancelled": "x", "ended": "e", "running": "r", "starting": "r", "cancelling": "r",
    "on_time": "s", "early": "s",
}  # fmt: skip
WAITING = "w"  # scheduled, queued, blocked, paused, retry_wait, and whatever this version does not know
# The class of meaning of each letter: good bad warn odd live mute.
MEANING = {"s": "good", "l": "warn", "f": "bad", "m": "bad", "t": "warn", "c": "odd", "u": "odd", "r": "live"}
WORST_FIRST = "mfctu?lwrxkes"
BAD_STATES = ("failed", "timed_out", "crashed", "upstream_failed")


def letter(outcome: str | None) -> str:
    """The letter of a state, a verdict or an outcome; empty for none."""
    return LETTERS.get(outcome, WAITING) if outcome else ""


def plain(name: str) -> str:
    """``timed_out`` → ``timed out``."""
    return name.replace("_", " ")


def length(seconds: float | None) -> str:
    """A length of time in two units at most: ``7m 46s``, ``12 s``, ``0.42 s``, ``35 ms``; a dash when it is not known."""
    if seconds is None:
        return "–"
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days}d {hours:02}h" if days < 10 else f"{round(seconds / 86_400)} d"


def between(low: float, high: float) -> str:
    """``13m to 16m``."""
    return f"{length(low)} to {length(high)}"


def parsed(text: str) -> datetime:
    """The API's ISO 8601 time."""
    return datetime.fromisoformat(text)


def millis(text: str | None) -> int | None:
    """The same as Unix ms."""
    return None if text is None else round(parsed(text).timestamp() * 1000)


def clock(at: datetime, zone: tzinfo, *, seconds: bool = False) -> str:
    """The time of day there: ``02:00``."""
    return f"{at.astimezone(zone):%H:%M:%S}" if seconds else f"{at.astimezone(zone):%H:%M}"


def day(at: datetime, zone: tzinfo, now: datetime) -> str:
    """The day there: ``Today``, ``Yesterday``, ``Sat 21 Nov``, ``21 Nov 2024``."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    back = (today - local.date()).days
    if back in (0, 1, -1):
        return {0: "Today", 1: "Yesterday", -1: "Tomorrow"}[back]
    return f"{local:%a} {local.day} {local:%b}" if abs(back) < 300 else f"{local.day} {local:%b %Y}"


def moment(at: datetime, zone: tzinfo, now: datetime) -> str:
    """``Today 02:00``."""
    return f"{day(at, zone, now)} {clock(at, zone)}"


def moment_within(at: datetime, zone: tzinfo, now: datetime) -> str:
    """The same inside a sentence: ``today 02:00``."""
    text = moment(at, zone, now)
    return text[0].lower() + text[1:] if text.startswith(("Today", "Yesterday", "Tomorrow")) else text


def date_of(at: datetime, zone: tzinfo) -> str:
    """``23 Nov 2026``."""
    local = at.astimezone(zone)
    return f"{local.day} {local:%b %Y}"


def count(number: float, word: str = "", words: str = "") -> str:
    """``1 run``, ``2,000 runs``."""
    shown = f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 1000 else f"{number:.4g}"
    return shown if not word else f"{shown} {word if number == 1 else words or word + 's'}"


def size(given: float) -> str:
    """Bytes as people say them: ``1.9 GB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if given < 999.5:
            return f"{given:.3g} {unit}"
        given /= 1000
    return f"{given:.3g} TB"


def percent(share: float) -> str:
    """``97.1 %``; 100 only when nothing at all went wrong."""
    shown = 100.0 if share == 1 else min(100 * share, 99.9)
    return f"{shown:.1f} %".replace(".0 %", " %")


def now_of(milliseconds: float) -> datetime:
    """Unix ms as a time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def joined(parts: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def cut(text: str, most: int) -> str:
    """The head and the tail of a very long text."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}\n… {count(len(text) - most, 'character')} left out …\n{text[-most // 2 :]}"


def clipped(text: str, most: int = 300) -> str:
    """One line of it, cut."""
    line = next((each for each in text.splitlines() if each.strip()), "").strip()
    return line if len(line) <= most else line[: most - 1] + "…"
