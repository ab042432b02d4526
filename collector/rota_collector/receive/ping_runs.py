"""Which run a ping speaks of. Remembered in memory, since the control store lags a little behind the journal; what began
before this process did is looked up there, once.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from bisect import insort
from collections import OrderedDict
from typing import NamedTuple

from rota.rules.fold import Run
from rota_collector.clock import Clock
from rota_collector.store.lookups import Lookups

SOURCE = "ping"
START = "start?rid"  # the raw state of such a run that goes on
_NAMED = "?rid"  # how the raw state of a run ends whose id its client chose
_MOST_OPEN = 100  # runs of one workflow that wait for an end
_MOST_NAMED = 10_000  # runs with a rid of their own, the last heard of
_PATIENCE_SECONDS, _POLL_SECONDS = 10.0, 0.05


class PingRun(NamedTuple):
    """A run that pings tell of; sorts by its start. Times are Unix ns, 0 when nobody saw it start, or end.

    ``end`` is the raw state that it ended with.
    """

    started_ns: int
    run_id: str
    workflow: str
    ended_ns: int = 0
    end: str = ""

    def told_ns(self, raw_state: str) -> int:
        """When it was told that this is its state, 0 if it was not: a ping that is sent again says it of that time."""
        if raw_state == START:
            return self.started_ns
        return self.ended_ns if raw_state == self.end else 0


class PingRuns:
    """The open runs of pings, by workflow, and those that their clients named. For one event loop.

    ``recorded``: the end of the journal when it was opened; the store is asked only when it has everything up to there.
    """

    def __init__(self, control: Lookups, clock: Clock, recorded: int) -> None:
        self._control, self._clock, self._recorded = control, clock, recorded
        self._open: dict[str, list[PingRun]] = {}
        self._named: OrderedDict[str, PingRun] = OrderedDict()
        self._known: set[str] = set()
        self._looking = asyncio.Lock()
        self._is_restored = False

    async def knows(self, workflow: str) -> bool:
        """Whether the workflow was ever seen, or has a policy."""
        if workflow not in self._known:
            await self._restored()
            if not await asyncio.to_thread(self._control.knows, workflow):
                return False
            self._known.add(workflow)
        return True

    async def of_start(self, workflow: str, rid: str | None, at_ns: int) -> PingRun:
        """The run that starts."""
        if rid is not None:
            return _started(await self._of_rid(workflow, rid), at_ns)
        await self._open_of(workflow)  # what is open from before stays so
        return PingRun(at_ns, uuid7(at_ns), workflow)

    async def of_end(self, workflow: str, rid: str | None, at_ns: int) -> PingRun:
        """The run that ends, which nobody else ends from now on: the latest open one, else one of which only the end is known."""
        if rid is not None:
            return await self._of_rid(workflow, rid)
        found = await self._open_of(workflow)
        return found.pop() if found else PingRun(0, uuid7(at_ns), workflow)

    async def of_log(self, workflow: str, rid: str | None) -> PingRun | None:
        """The run that a log line belongs to; None: none is open."""
        if rid is not None:
            return await self._of_rid(workflow, rid)
        found = await self._open_of(workflow)
        return found[-1] if found else None

    def keep(self, run: PingRun, rid: str | None, *, is_open: bool) -> None:
        """What was told of ``run`` is on disk; or it is not, and the run is as ``is_open`` says."""
        self._known.add(run.workflow)
        if rid is not None:
            self._remember(run)
        elif is_open:
            found = self._open.setdefault(run.workflow, [])
            insort(found, run)
            del found[:-_MOST_OPEN]

    async def _open_of(self, workflow: str) -> list[PingRun]:
        found = self._open.get(workflow)
        if found is None:
            async with self._looking:
                if workflow not in self._open:
                    await self._restored()
                    self._open[workflow] = await asyncio.to_thread(self._stored, workflow)
                found = self._open[workflow]
        return found

    def _stored(self, workflow: str) -> list[PingRun]:
        runs = self._control.running(workflow, _MOST_OPEN)
        return sorted(
            PingRun(run.started_ns or 0, run.run_id, workflow)
            for run in runs
            if run.source == SOURCE and not (run.raw_state or "").endswith(_NAMED)
        )

    async def _of_rid(self, workflow: str, rid: str) -> PingRun:
        """The run of that id; a run of another workflow is not this key's to speak of, so it gets an id of its own."""
        found = await self._find(workflow, rid)
        if found.workflow != workflow:
            found = await self._find(workflow, str(uuid.uuid5(uuid.UUID(rid), workflow)))
        return found

    async def _find(self, workflow: str, run_id: str) -> PingRun:
        found = self._named.get(run_id)
        if found is None:
            await self._restored()
            stored = await asyncio.to_thread(self._control.run, run_id)
            found = _as_stored(stored) if stored else PingRun(0, run_id, workflow)
        return found

    def _remember(self, run: PingRun) -> None:
        self._named[run.run_id] = run
        self._named.move_to_end(run.run_id)
        if len(self._named) > _MOST_NAMED:
            self._named.popitem(last=False)

    async def _restored(self) -> None:
        """Wait, for a while, until the store has what was in the journal when this process started."""
        give_up_at = self._clock.monotonic() + _PATIENCE_SECONDS
        while not self._is_restored:
            self._is_restored = await asyncio.to_thread(self._control.offset) >= self._recorded
            if self._is_restored or self._clock.monotonic() > give_up_at:
                return
            await asyncio.sleep(_POLL_SECONDS)


def uuid7(at_ns: int) -> str:
    """A UUIDv7 (RFC 9562): milliseconds of Unix time, then random bits."""
    bits = (at_ns // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76
    return str(uuid.UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))


def _as_stored(run: Run) -> PingRun:
    return PingRun(run.started_ns or 0, run.run_id, run.workflow, run.ended_ns or 0, run.raw_state or "")


def _started(run: PingRun, at_ns: int) -> PingRun:
    return run if run.started_ns else run._replace(started_ns=at_ns)
