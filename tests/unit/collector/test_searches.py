"""Searches over all runs: page after page gives each log and span that passes once, the last first."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_messages import record, span, traces

from rota.wire import names
from rota_collector.errors import BadCursor
from rota_collector.journal import Signal
from rota_collector.store.readings import items
from rota_collector.store.searches import Search
from rota_collector.store.telemetry import Telemetry

HOUR = 3600 * 10**9
T0 = 1_790_000_000_000_000_000
WORKFLOWS = ["a.load", "a.report", "b", "[x]"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telemetry]:
    """120 spans over days, several of them in the same nanosecond."""
    telemetry = Telemetry.open(tmp_path_factory.mktemp("searches") / "telemetry.duckdb", threads=1)
    made = []
    for n in range(1, 121):
        began = T0 + n // 4 * n // 4 * HOUR // 50
        told = {
            "start_time_unix_nano": began,
            "end_time_unix_nano": began + n * 10**6,
            "status": {"code": 2 if n % 5 == 0 else 0},
        }
        each = span(n, {names.WORKFLOW: WORKFLOWS[n % 4], "said": f"Word{n % 10}"}, **told)
        made.append(each)
    telemetry.apply([record(traces(*made), Signal.TRACES_PROTO)])
    yield telemetry
    telemetry.close()


def paged(store: Telemetry, search: Search, limit: int, **more) -> list[dict]:
    """The items of all pages."""
    found, cursor = [], None
    while True:
        table, cursor = store.spans(search, cursor, limit, **more)
        assert table.num_rows <= limit
        found += items(table)
        if cursor is None:
            return found


times = st.integers(-1, 80).map(lambda n: T0 + n * HOUR // 4)
searches = st.builds(
    Search, times, times, st.none() | st.sampled_from(["a.load", "[x]"]), st.none() | st.sampled_from(["a.*", "[x*", "?", "z*"]),
    st.none() | st.sampled_from(["word3", "SPAN 1", "no such"]),
)  # fmt: skip


@given(search=searches, limit=st.integers(1, 50), failed=st.booleans(), shortest=st.none() | st.just(50 * 10**6))
@settings(max_examples=40, deadline=None)
def test_pages_give_what_passes_each_once(store, search, limit, failed, shortest):
    """In order of time, the last first, wherever the pages are cut: also among spans that began together."""
    found = paged(store, search, limit, failed=failed, min_duration_ns=shortest)
    ids = [each["span_id"] for each in found]
    assert len(set(ids)) == len(ids)
    assert [each["started_at"] for each in found] == sorted((each["started_at"] for each in found), reverse=True)
    everything = items(store.spans(Search(search.since_ns, search.until_ns), None, 1000)[0])
    assert set(ids) == {each["span_id"] for each in everything if passes(each, search, failed, shortest)}


def passes(item, search: Search, failed: bool, shortest: int | None) -> bool:
    """The filters, told once more."""
    said = f"{item['name']} {item['status_message']} {item['attributes']}".lower()
    return all((
        search.workflow is None or item["workflow"] == search.workflow,
        search.pattern is None or fnmatchcase(item["workflow"], search.pattern.replace("[", "[[]")),
        search.text is None or search.text.lower() in said,
        not failed or item["status"] == "error",
        shortest is None or item["duration_seconds"] * 1e9 >= shortest,
    ))  # fmt: skip


def test_everything_is_found(store: Telemetry) -> None:
    """Without filters, all of it."""
    assert len(paged(store, Search(T0 - HOUR, T0 + 10_000 * HOUR), 7)) == 120


def test_a_cursor_of_somebody_elses_making_is_refused(store: Telemetry) -> None:
    """It is an error, not an empty page."""
    with pytest.raises(BadCursor):
        store.spans(Search(T0, T0 + HOUR), "x", 10)
