"""How long the last runs of a workflow took, over what was usual by then. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo

from rota.rules.usual import LATEST, outside, usual
from rota_dashboard.shape import links, words
from rota_dashboard.shape.words import Item, letter, parsed


def durations(latest: Sequence[Item], reader: tzinfo, now: datetime) -> Item:
    """The last runs, the oldest first: how long each took, and what was usual by then."""
    shown = [run for run in reversed(latest) if run["started_at"]]
    bars: list[Item] = []
    good: list[float] = []
    for run in shown:
        band = usual(good[-LATEST:])
        seconds = run["duration_seconds"]
        if seconds is None and run["ended_at"] is None:
            seconds = max(0.0, (now - parsed(run["started_at"])).total_seconds())
        bars.append(_bar(run, seconds, band, reader, now))
        if run["state"] == "succeeded" and run["duration_seconds"] is not None:
            good.append(run["duration_seconds"])
    first = words.day(parsed(shown[0]["started_at"]), reader, now) if shown else ""
    return {"bars": bars, "first": first, "last": words.day(parsed(shown[-1]["started_at"]), reader, now) if shown else ""}


def _bar(run: Item, seconds: float | None, band: tuple[float, float] | None, reader: tzinfo, now: datetime) -> Item:
    mark = letter(run["state"])
    off = outside(seconds, band) if band is not None and seconds is not None else 0
    is_off = off != 0 if mark == "s" else mark == "r" and off > 0  # what has only begun is short, and that is no news
    said = f"{words.moment(parsed(run['started_at']), reader, now)}: {words.plain(run['state'])}, {words.length(seconds)}"
    return {
        "seconds": seconds,
        "mark": mark,
        "off": is_off,
        "low": band[0] if band else None,
        "high": band[1] if band else None,
        "href": links.run(run["id"]),
        "says": said + (f" (usual {words.between(*band)})" if is_off and band else ""),
    }
