"""Following what is told, through a real collector: live, in order, each event once, also after a break."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import httpx
import otlp
import pytest
from collectors import PATIENCE_SECONDS, CollectorProcess, until


class Event(NamedTuple):
    """What arrived; an ``id`` alone has no kind."""

    id: str
    kind: str
    item: Any


@contextmanager
def tail(collector: CollectorProcess, last_id: str = "", **asked: Any) -> Iterator[Iterator[Event]]:
    """The events as they come, those without a kind too."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with httpx.stream("GET", f"{collector.url}/api/v1/tail", params=asked, headers=headers, timeout=PATIENCE_SECONDS) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parsed(answer.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        else:
            yield Event(fields.get("id", ""), fields.get("event", ""), json.loads(fields.get("data", "null")))
            fields = {}


def some(events: Iterator[Event], count: int) -> list[Event]:
    """The next ones that say something."""
    return list(itertools.islice((event for event in events if event.kind), count))


def said(events: list[Event]) -> list[str]:
    return [event.item["body"] for event in events]


def test_runs_logs_and_spans_come_as_they_are_told(collector: CollectorProcess) -> None:
    """Each as an item of the API; a run as it is by then."""
    with tail(collector) as events:
        assert next(events).kind == ""  # where it begins
        collector.send(*otlp.whole_run(1), otlp.log(1, "hello", "WARN"))
        run, *logs = some(events, 4)
        collector.send_spans(otlp.task(1, 1, "load"))
        (span,) = some(events, 1)
    assert (run.kind, run.item) == ("run", collector.item("/runs")["items"][0])
    assert [each.kind for each in logs] == ["log"] * 3
    found = {log["body"]: log for log in collector.item("/logs", since="2026-09-01T00:00Z", until="2026-12-01T00:00Z")["items"]}
    assert logs[-1].item == found["hello"]
    assert (span.kind, span.item) == (
        "span",
        collector.item("/spans", since="2026-09-01T00:00Z", until="2026-12-01T00:00Z")["items"][0],
    )


def test_only_what_is_wanted_comes(collector: CollectorProcess) -> None:
    """By workflow or pattern, by run, by kind, by text and by severity."""
    with tail(collector, workflow="etl.*", kinds="logs", q="need", severity=13) as events:
        collector.send(otlp.log(1, "needle", "INFO"), otlp.log(1, "no", "WARN"), *otlp.whole_run(1))
        collector.send(*otlp.whole_run(2, workflow="other"), {**otlp.log(1, "Needle 1", "WARN")})
        assert said(some(events, 1)) == ["Needle 1"]
    with tail(collector.applied(), run=otlp.run_id(2), kinds="runs,logs") as events:
        collector.send(otlp.log(1, "of another"), otlp.log(2, "of this"))
        assert said(some(events, 1)) == ["of this"]


def test_who_comes_back_goes_on_behind_the_last_event(collector: CollectorProcess) -> None:
    """Wherever it broke off, also in the middle of what was told at once: nothing is missing, nothing comes twice."""
    with tail(collector, kinds="logs") as events:
        start = next(events).id
    for n in range(5):
        collector.send(*(otlp.log(1, f"{n}.{i}") for i in range(40)))
    wanted = [f"{n}.{i}" for n in range(5) for i in range(40)]
    got: list[Event] = []
    for length in (1, 38, 60, 101):
        with tail(collector, got[-1].id if got else start, kinds="logs") as events:
            got += some(events, length)
    assert said(got) == wanted
    assert len({event.id for event in got}) == len(got)


def test_what_is_sent_again_is_not_shown_again(collector: CollectorProcess) -> None:
    """A sender that got no answer sends once more; the stores keep one, and a tail shows one."""
    with tail(collector, kinds="logs,spans") as events:
        next(events)
        for n in range(3):
            collector.send(otlp.log(1, "once"))
            collector.send_spans(otlp.task(1, 1, "load"))
            collector.applied()
            collector.send(otlp.log(1, f"mark {n}"))
            collector.applied()
        assert [event.item.get("body") or event.item["name"] for event in some(events, 5)] == [
            "once", "load", "mark 0", "mark 1", "mark 2",
        ]  # fmt: skip


def test_a_tail_ends_when_the_collector_stops(collector: CollectorProcess) -> None:
    """It does not hold up the stop."""
    with tail(collector) as events:
        next(events)
        began = time.monotonic()
        stopping = threading.Thread(target=collector.stop)
        stopping.start()
        assert [event for event in events if event.kind] == []
        stopping.join()
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_there_are_so_many_tails_and_no_more(collector: CollectorProcess) -> None:
    """One too many is told to come again; when one ends, there is room."""
    with ExitStack() as opened:
        events = [opened.enter_context(tail(collector)) for _ in range(16)]
        for each in events:
            next(each)
        assert collector.get("/api/v1/tail").json()["error"]["code"] == "busy"

    def has_room() -> bool:
        with httpx.stream("GET", f"{collector.url}/api/v1/tail", timeout=PATIENCE_SECONDS) as answer:
            return answer.status_code == 200

    until(has_room, "the tails to end")


@pytest.mark.parametrize(("asked", "last_id"), [({"kinds": "runs,what"}, ""), ({}, "x"), ({}, "5-4-1"), ({}, "-1-2-3")])
def test_nonsense_is_refused(collector: CollectorProcess, asked: dict[str, str], last_id: str) -> None:
    """In the envelope of every error."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    answer = httpx.get(f"{collector.url}/api/v1/tail", params=asked, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")
