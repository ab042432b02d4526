"""What is told, as it comes: a server-sent event for each run that changes, each log record and each span.

The journal is the queue. A tail reads in it what the stores have applied, at its own pace, so that who reads slowly costs
nobody else anything, and who comes back with the id of the last event goes on behind it. The id names the stretch of the
journal that was read at once, and the place in it. Who is too far behind, or asks for what is not kept any more, is told so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from rota_collector.api import tailed
from rota_collector.api.envelope import ApiError
from rota_collector.api.parameters import Severity, Text, Workflows
from rota_collector.api.runs import find
from rota_collector.api.stores import Source, Stores
from rota_collector.api.streamed import Streamed
from rota_collector.domain.reach import EVERYTHING
from rota_collector.journal import Record

MOST_BEHIND_BYTES = 64 << 20  # of the journal; who is further behind goes on at its end
LONGEST_SECONDS = 3600.0  # then the client asks again, with a key that is still valid
HEARTBEAT_SECONDS = 10.0
_POLL_SECONDS = 0.1
_READ_BYTES = 1 << 20  # at once
_AT_ONCE, _PAUSE_SECONDS = 200, 0.02  # events, and what follows them: 10,000 a second are more than anybody reads

Kinds = Annotated[str, Query(description="of these, with commas between them: `runs`, `logs`, `spans`")]
OneRun = Annotated[str | None, Query(description="of this run only; the beginning of its id will do")]
LastEventId = Annotated[str, Header(description="the id of the last event that arrived: go on behind it")]

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}, "description": "events: run, log, span, dropped"}
}


class Position(NamedTuple):
    """Behind event ``row`` of what is in the journal from ``start`` to ``end``; -1: before the first."""

    start: int
    end: int
    row: int

    def __str__(self) -> str:
        return f"{self.start}-{self.end}-{self.row}"


def router(stores: Stores) -> APIRouter:
    """``/api/v1/tail``."""
    router = APIRouter(prefix="/api/v1/tail", tags=["telemetry"])

    @router.get("", response_class=StreamingResponse, responses=_STREAM)
    def tail(
        workflow: Workflows = None, run: OneRun = None, kinds: Kinds = "runs,logs,spans", q: Text = None, severity: Severity = 0,
        last_event_id: LastEventId = "",
    ) -> Response:  # fmt: skip
        """What is told from now on, as server-sent events: `run` (as it is now), `log`, `span`; `dropped` says how many bytes of
        the journal were passed over. A stream ends after an hour at the latest; go on with `Last-Event-ID`.
        """
        one = find(stores.control, run, EVERYTHING).run_id if run else None
        wanted = tailed.Wanted(workflow, one, _kinds(kinds), q or None, severity)
        position = _position(last_event_id) if last_event_id else Position(0, stores.tails.applied(), -1)
        if not stores.tails.places.acquire(blocking=False):
            raise ApiError(503, "busy", "as many tails as may are open already", "close one, or ask again later")
        return Streamed(_events(stores, wanted, position), "text/event-stream", stores.tails.places.release, _HEADERS)

    return router


_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _kinds(text: str) -> frozenset[str]:
    kinds = frozenset(text.split(","))
    if not kinds <= tailed.KINDS:
        raise ApiError(422, "invalid", f"kinds={text!r}", "send kinds=runs,logs,spans, or some of these")
    return kinds


def _position(text: str) -> Position:
    try:
        found = Position(*map(int, text.split("-", 2)))
    except (ValueError, TypeError):
        found = Position(-1, -1, -1)
    if not 0 <= found.start <= found.end:
        raise ApiError(422, "invalid", f"Last-Event-ID {text!r} is of no event", "leave it out to begin now")
    return found


async def _events(stores: Stores, wanted: tailed.Wanted, position: Position) -> AsyncIterator[bytes]:
    tails, seen = stores.tails, tailed.Seen()
    ends_at = time.monotonic() + LONGEST_SECONDS
    yield _id(position)
    if position.row >= 0:
        async for chunk in _stretch(stores, wanted, seen, position):
            yield chunk
    at, beat_at = position.end, time.monotonic() + HEARTBEAT_SECONDS
    while not tails.stopping() and time.monotonic() < ends_at:
        end = tails.applied()
        if end - at > MOST_BEHIND_BYTES:
            yield _dropped(at, end)
            at = end
        if end > at:
            records = await asyncio.to_thread(_read, tails.journal, at, end)
            following = records[-1].next_offset if records else end
            async for chunk in _stretch(stores, wanted, seen, Position(at, following, -1), records):
                yield chunk
            at = following
        elif time.monotonic() < beat_at:
            await asyncio.sleep(_POLL_SECONDS)
            continue
        yield _id(Position(at, at, -1))
        beat_at = time.monotonic() + HEARTBEAT_SECONDS


async def _stretch(
    stores: Stores, wanted: tailed.Wanted, seen: tailed.Seen, after: Position, records: list[Record] | None = None
) -> AsyncIterator[bytes]:
    """The events of a stretch of the journal behind a place in it."""
    if records is None:
        size = max(1, after.end - after.start)
        records = await asyncio.to_thread(_read, stores.tails.journal, after.start, after.end, size)
    if not records or records[0].offset > after.start:
        lost_until = records[0].offset if records else after.end
        if lost_until > after.start and after.start > 0:
            yield _dropped(after.start, lost_until)
    found = tailed.events(stores, wanted, seen, records)
    while chunk := await asyncio.to_thread(_written, found, after):
        yield chunk
        await asyncio.sleep(_PAUSE_SECONDS)


def _read(journal: Source, start: int, end: int, most: int = _READ_BYTES) -> list[Record]:
    return [record for record in journal.read(start, most) if record.offset < end]


def _written(found: Iterator[tailed.Event], after: Position) -> bytes:
    """The next events; empty: there are none."""
    some = list(islice((event for event in found if event.row > after.row), _AT_ONCE))
    return b"".join(
        b"id: %s\nevent: %s\ndata: %s\n\n"
        % (str(after._replace(row=each.row)).encode(), each.kind.encode(), msgspec.json.encode(each.item))
        for each in some
    )


def _id(position: Position) -> bytes:
    """An id without an event: a client keeps it, and shows nothing. It is the heartbeat, too."""
    return f": here\nid: {position}\n\n".encode()


def _dropped(start: int, end: int) -> bytes:
    said = msgspec.json.encode({"journal_bytes": end - start})
    return b"id: %s\nevent: dropped\ndata: %s\n\n" % (str(Position(end, end, -1)).encode(), said)
