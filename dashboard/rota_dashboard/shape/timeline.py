"""All runs of a day, in lanes: of a host, a tag, a workflow. Pure.

Layout of the block of bytes, little-endian: length of the header (uint32), the header (JSON, padded with blanks so that what
follows lies at a multiple of 4), then one array each of ``start`` and ``end`` (float32, seconds since the day began; NaN: it
runs still), ``lane`` and ``name`` (uint32, into the header), ``mark`` (uint8, the code of its letter), ``id`` (16 bytes each).
"""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from rota_dashboard.shape import links, words
from rota_dashboard.shape.words import BAD_STATES, Item, letter

LANES = {"host": "By host", "tag": "By tag", "workflow": "By workflow"}
_NONE = {"host": "host unknown", "tag": "no tag", "workflow": "–"}


class Day(NamedTuple):
    """A day where the reader is, its bounds in UTC: it may have 23 or 25 hours, and between local times Python counts 24."""

    date: date
    start: datetime
    end: datetime
    turn: tuple[float, float] | None = None  # when clocks change there: seconds since it began, and seconds forward


def day_of(text: str, zone: tzinfo, now: datetime) -> Day:
    """The day that the address names; today when it names none."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = now.astimezone(zone).date()
    day = min(max(day, date(1971, 1, 1)), date(2199, 12, 30))
    start, end = (datetime.combine(each, time(), zone).astimezone(UTC) for each in (day, day + timedelta(days=1)))
    return Day(day, start, end, _turn(start, end, zone))


def _turn(start: datetime, end: datetime, zone: tzinfo) -> tuple[float, float] | None:
    """Clocks change on a quarter of an hour, once a day at most."""
    moments = [start + timedelta(minutes=15 * n) for n in range(int((end - start) / timedelta(minutes=15)) + 1)]
    offsets = [(each.astimezone(zone).utcoffset() or timedelta()).total_seconds() for each in moments]
    return next(((900.0 * n, now - before) for n, (before, now) in enumerate(pairwise(offsets), 1) if now != before), None)


def head(runs: pa.Table, day: Day, by: str, zone: tzinfo, now: datetime, away: str | None) -> Item:
    """The day in a sentence, and the ways to others."""
    states = runs.column("state").to_pylist()
    bad = sum(each in BAD_STATES for each in states)
    most, at = _most_at_once(runs, day)
    name = words.day(day.start, zone, now)
    facts = [words.count(len(states), "run"), f"{words.count(bad)} went wrong"]
    if most > 1 and at is not None:
        facts.append(f"{words.count(most)} at once at {words.clock(at, zone)}, the most")
    return {
        "title": name if name[0].isdigit() or " " in name else f"{name}, {words.date_of(day.start, zone)}",
        "facts": facts,
        "day": day.date.isoformat(),
        "by": [{"key": key, "text": text, "on": key == by} for key, text in LANES.items()],
        "before": links.timeline(day=(day.date - timedelta(days=1)).isoformat(), by=by),
        "after": None if day.end > now else links.timeline(day=(day.date + timedelta(days=1)).isoformat(), by=by),
        "zone": str(zone),
        "away": away,
    }


def _most_at_once(runs: pa.Table, day: Day) -> tuple[int, datetime | None]:
    starts, ends = _times(runs, day)
    edges = np.concatenate([starts, np.where(np.isnan(ends), np.inf, ends)])
    steps = np.concatenate([np.ones(len(starts)), -np.ones(len(ends))])
    order = np.lexsort((steps, edges))  # at the same moment ends come first
    level = np.cumsum(steps[order])
    if not len(level):
        return 0, None
    peak = int(np.argmax(level))
    return int(level[peak]), day.start + timedelta(seconds=max(0.0, float(edges[order][peak])))


def packed(runs: pa.Table, day: Day, by: str, now: datetime) -> bytes:
    """The runs, for drawing."""
    starts, ends = _times(runs, day)
    lanes, lane, row = _lanes(runs, by)
    names = runs.column("workflow").combine_chunks()
    marks = np.array([ord(letter(each)) for each in runs.column("state").to_pylist()], "u1")
    header = {
        "lanes": lanes,
        "names": names.dictionary.to_pylist(),
        "count": len(lane),
        "seconds": (day.end - day.start).total_seconds(),
        "start": day.start.timestamp() * 1000,
        "turn": day.turn,
        "now": now.timestamp() * 1000,
    }
    arrays: Sequence[Any] = (
        starts[row].astype("<f4"),
        ends[row].astype("<f4"),
        lane.astype("<u4"),
        names.indices.to_numpy()[row].astype("<u4"),
        marks[row],
    )
    ids = runs.column("run_id").to_pylist()
    raw = b"".join(_id(ids[each]) for each in row.tolist())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *(each.tobytes() for each in arrays), raw])


def _times(runs: pa.Table, day: Day) -> tuple[Any, Any]:
    """Starts and ends in seconds since the day began; NaN where a run has not ended."""
    origin = round(day.start.timestamp() * 1e9)
    starts = (runs.column("started_ns").to_numpy() - origin) / 1e9
    ends = runs.column("ended_ns").to_pandas().astype("float64").to_numpy()
    return starts, (ends - origin) / 1e9


def _lanes(runs: pa.Table, by: str) -> tuple[list[str], Any, Any]:
    """(names of the lanes in order, the lane of each bar, the run of each bar). A run of several tags has a bar in each."""
    if by == "tag":
        tags = runs.column("tags").to_pylist()
        pairs = [(tag, i) for i, some in enumerate(tags) for tag in (some or [_NONE["tag"]])]
        row = np.array([i for _, i in pairs], "i8")
        of = [tag for tag, _ in pairs]
    else:
        of = [each or _NONE[by] for each in runs.column(by).to_pylist()]
        row = np.arange(len(of))
    names = sorted(set(of))
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([place[each] for each in of], "u4"), row


def _id(run_id: str) -> bytes:
    """16 bytes of a run id; ids that are no UUID have none, and their bars are no links."""
    try:
        return uuid.UUID(run_id).bytes
    except ValueError:
        return bytes(16)
