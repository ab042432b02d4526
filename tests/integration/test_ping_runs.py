"""Which run a ping speaks of: overlap, restarts, other people's runs, and a journal that refuses. A real journal and store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rota.rules.fold import RunEvent
from rota.wire import names
from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.errors import JournalFull
from rota_collector.journal import Journal
from rota_collector.receive.pings import Receiver
from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import Keys
from rota_collector.store.lookups import Lookups

A, B = "123e4567-e89b-42d3-a456-42661417400a", "123e4567-e89b-42d3-a456-42661417400b"


class Place:
    """A receiver on a journal and a control store of its own; the store has what ``apply`` brought into it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.journal = Journal(folder / "journal", clock=self.clock)
        self.control = Control(folder / "control.sqlite")
        self.key_changes, self.keys = KeyChanges(self.control.engine), Keys(self.control.path, self.clock)
        self._paths: dict[str, str] = {}
        self.restart()

    def restart(self) -> None:
        """Forget what was only in memory."""
        self.receiver = Receiver(self.journal, self.keys, Lookups(self.control.path), self.clock, self.journal.durable_end)

    def apply(self) -> None:
        """Bring the store up to the journal."""
        self.control.apply(self.events(), self.journal.durable_end)

    def events(self) -> list[RunEvent]:
        """What the journal says of runs, in order."""
        return to_rows.run_events(self.journal.read(0, 1 << 30))

    def states(self) -> list[tuple[str, str]]:
        """(run id, state) of each event."""
        return [(event.run_id, event.state) for event in self.events()]

    def path(self, workflow: str) -> str:
        """Where a key for this workflow pings."""
        if workflow not in self._paths:
            made = self.key_changes.create("ping", workflow=workflow, now_ns=self.clock.now_ns())
            assert made is not None
            self._paths[workflow] = "/ping/" + made[1]
        return self._paths[workflow]

    async def ping(self, suffix: str = "", workflow: str = "etl", body: bytes = b"") -> int:
        """Send one ping a second after the last; the status of its answer."""
        self.clock.advance(1)
        sent: list[Any] = []
        chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = (self.path(workflow) + suffix).partition("?")
        head = {"method": "POST", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": []}
        await self.receiver({"type": "http", **head}, receive, send)
        return int(sent[0]["status"])

    def pings(self, *suffixes: str, workflow: str = "etl") -> list[int]:
        """Send some, one after the other."""

        async def send() -> list[int]:
            return [await self.ping(suffix, workflow) for suffix in suffixes]

        return asyncio.run(send())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.journal.close()
    made.control.close()


def test_an_end_is_of_the_run_that_started_last(place):
    """Two starts, one success: the later one is over, the earlier one stays open for the next end."""
    assert place.pings("/start", "/start", "", "/fail") == [200] * 4
    (first, _), (second, _), third, fourth = place.states()
    assert (third, fourth) == ((second, "succeeded"), (first, "failed"))


def test_two_ends_at_once_do_not_end_the_same_run(place):
    """Of two successes under way together, one ends the open run and the other is a run of its own."""

    async def story() -> None:
        await place.ping("/start")
        await asyncio.gather(place.ping(), place.ping())

    asyncio.run(story())
    (started, _), *ends = place.states()
    assert len({run_id for run_id, _ in ends}) == 2
    assert started in dict(ends)


def test_an_end_alone_says_nothing_of_a_start(place):
    """No start time is invented for a run of which only the end was told."""
    place.pings("")
    (event,) = place.events()
    assert event.started_ns is None


def test_runs_with_and_without_a_rid_do_not_mix(place):
    """An end without a rid never ends a run that its client named, before or after a restart."""
    place.pings(f"/start?rid={A}", "")
    place.apply()
    place.restart()
    place.pings("")
    assert [state for run_id, state in place.states() if run_id == A] == ["running"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_rid_does_not_reach_into_another_workflow(place, is_restarted):
    """A key speaks of its own workflow only: naming the id of another one's run ends nothing there."""
    place.pings(f"/start?rid={A}", workflow="theirs")
    if is_restarted:
        place.apply()
        place.restart()
    place.pings(f"/fail?rid={A}", workflow="mine")
    place.apply()
    theirs = place.control.run(A)
    assert (theirs.workflow, theirs.state) == ("theirs", "running")
    assert [event.run_id == A for event in place.events() if event.workflow == "mine"] == [False]


def test_a_ping_ends_no_run_of_the_sdk(place):
    """A run that its own process tells of is open: a ping without a rid leaves it alone."""
    place.control.apply([RunEvent(B + "s", B, "etl", "running", place.clock.now_ns())], 0)
    place.pings("")
    place.apply()
    assert place.control.run(B).state == "running"


def test_after_a_restart_an_end_waits_for_the_store(place):
    """The start is in the journal and not yet in the store: the end waits for it, and finds it."""
    place.pings("/start")
    place.restart()

    async def story() -> None:
        ending = asyncio.create_task(place.ping())
        await asyncio.sleep(0)
        await asyncio.to_thread(place.apply)
        assert await ending == 200

    asyncio.run(story())
    assert [run_id for run_id, _ in place.states()] == [place.states()[0][0]] * 2


def test_an_end_that_was_refused_can_be_sent_again(place, monkeypatch):
    """The journal refuses the end: 503, nothing is kept, and the end sent again ends the same run."""

    async def refuse(_signal, _payload):
        raise JournalFull("no space left")

    place.pings("/start")
    with monkeypatch.context() as full:
        full.setattr(place.journal, "append", refuse)
        assert place.pings("", "/start") == [503, 503]
    assert place.pings("") == [200]
    (first, _), (second, state) = place.states()
    assert (first, state) == (second, "succeeded")


def test_a_ping_with_a_rid_has_an_id_that_stays(place):
    """Sent again, start and end are the same events; another run's are others."""
    place.pings(f"/start?rid={A}", f"/start?rid={A}", f"/1?rid={A}", f"/1?rid={A}", f"/start?rid={B}")
    ids = [event.event_id for event in place.events()]
    assert (ids[0] == ids[1], ids[2] == ids[3], len(set(ids))) == (True, True, 3)
    assert all(str(uuid.UUID(each)) == each for each in ids)


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_ping_that_is_sent_again_says_when_it_was_said(place, is_restarted):
    """A repeated start or end has the time of the first: the stores look for the event of that id at its time."""
    place.pings(f"/start?rid={A}", f"/1?rid={A}", f"/0?rid={B}")
    place.apply()
    if is_restarted:
        place.restart()
    place.pings(f"/start?rid={A}", f"/1?rid={A}", f"/0?rid={B}")
    told = [(event.event_id, event.at_ns, event.started_ns) for event in place.events()]
    assert told[3:] == told[:3]
    assert len(set(told)) == 3


def test_output_that_is_sent_again_is_kept_once(place):
    """The output of a repeated ping has one id, by which the store drops the copy; log lines are each their own."""

    async def story() -> None:
        for suffix in (f"/1?rid={A}", f"/1?rid={A}", f"/log?rid={A}", f"/log?rid={A}", "/log"):
            await place.ping(suffix, body=b"written")

    asyncio.run(story())
    found = to_rows.logs(place.journal.read(0, 1 << 30)).to_pylist()
    ids = [row["event_id"] for row in found if row["event_name"] == names.OUTPUT_EVENT]
    assert None not in ids
    assert (len(ids), ids[0] == ids[1], len(set(ids))) == (5, True, 4)


def test_what_is_cut_off_still_explains_a_failure(place):
    """Of a long output the first 100,000 bytes are kept, and the error is the end of what was sent."""
    asyncio.run(place.ping("/1", body=b"x" * 199_000 + b"\nno space left\n"))
    (event,) = place.events()
    assert event.error_message is not None
    assert event.error_message.endswith("no space left")
    assert len(place.journal.read(0, 1 << 30)[0].payload) < 110_000
