"""Lists of runs: whatever narrows them, page after page gives what looking at every run would."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.rules.fold import Run, RunEvent
from rota_collector.domain.reach import EVERYTHING, Reach
from rota_collector.store import run_lists
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter, listed_ns

SECOND = 10**9
T0 = 1_790_000_000 * SECOND
WORKFLOWS = ["a.load", "a.report", "b", "[x]", *(f"c{n}" for n in range(20))]
ERRORS = ["connection Refused", "100%_sure", ""]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """300 runs of all kinds, several begun in the same nanosecond."""
    store = Control(tmp_path_factory.mktemp("lists") / "control.sqlite")
    events = []
    for n in range(300):
        run_id, workflow, started = f"0199{n * 7919 % 300:08x}", WORKFLOWS[n * n % len(WORKFLOWS)], T0 + n // 3 * SECOND
        told = {"host": f"h{n % 3}", "attempt": 1 + (n % 11 == 0), "tags": ("eu",) if n % 5 == 0 else ()}
        state = ("succeeded", "failed", "crashed", "running")[n % 7 % 4]
        error = ERRORS[n % 3] or None if state == "failed" else None
        events.append(RunEvent(f"{run_id}s", run_id, workflow, "running", started, **told))
        if state != "running":
            end = started + n % 10 * SECOND
            reason = "Vanished" if state == "crashed" else None
            events.append(RunEvent(f"{run_id}e", run_id, workflow, state, end, started_ns=started, error_type=error and "OSError",
                                   error_message=error, reason=reason, **told))  # fmt: skip
    store.apply(events, 1)
    yield store
    store.close()


def paged(control: Control, filters: RunFilter, limit: int) -> list[str]:
    """The ids of all pages."""
    found, cursor = [], None
    while True:
        page = control.runs(filters, cursor, limit)
        assert len(page.items) <= limit
        found += [run.run_id for run in page.items]
        cursor = page.next
        if cursor is None:
            return found


def passes(run: Run, filters: RunFilter) -> bool:
    """The filters, told once more."""
    said = " ".join(filter(None, (run.error_type, run.error_message, run.reason))).lower()
    took = None if run.ended_ns is None or run.started_ns is None else run.ended_ns - run.started_ns
    return all((
        filters.workflow is None or run.workflow == filters.workflow,
        filters.pattern is None or matches(run.workflow, filters.pattern),
        filters.reach.allows(run.workflow),
        not filters.states or run.state in filters.states,
        filters.tag is None or filters.tag in run.tags,
        filters.since_ns is None or listed_ns(run) >= filters.since_ns,
        filters.until_ns is None or listed_ns(run) < filters.until_ns,
        filters.host is None or run.host == filters.host,
        filters.text is None or filters.text.lower() in said,
        filters.min_duration_ns is None or (took is not None and took >= filters.min_duration_ns),
        not filters.retried or run.attempt > 1,
    ))  # fmt: skip


def matches(workflow: str, pattern: str) -> bool:
    return fnmatchcase(workflow, pattern.replace("[", "[[]"))


patterns = st.sampled_from(["a.load", "a.*", "c*", "c?", "*", "[x]", "none", "z*"])
times = st.none() | st.integers(0, 100).map(lambda n: T0 + n * SECOND)
filters = st.builds(
    RunFilter,
    st.none() | st.sampled_from(["a.load", "[x]", "none"]),
    st.lists(st.sampled_from(["succeeded", "failed", "crashed", "running"]), max_size=3, unique=True).map(tuple),
    st.none() | st.just("eu"),
    times,
    times,
    st.none() | patterns,
    st.none() | st.just("h1"),
    st.none() | st.sampled_from(["refused", "%", "vanished", "no such"]),
    st.none() | st.just(4 * SECOND),
    st.booleans(),
    st.just(EVERYTHING)
    | st.builds(Reach, st.lists(st.sampled_from(["a.*", "c?", "z*"]), max_size=2).map(tuple), st.just(("[x]",))),
)


@given(filters=filters, limit=st.integers(20, 120), looked_at=st.integers(25, 400))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_give_what_passes_in_order_each_once(control, filters, limit, looked_at):
    """However few runs a page may look at, all pages together are the list, and no run is in it twice."""
    with pytest.MonkeyPatch.context() as patch:
        everything = control.runs(RunFilter(), limit=1000).items
        patch.setattr(run_lists, "MOST_LOOKED_AT", looked_at)
        assert paged(control, filters, limit) == [run.run_id for run in everything if passes(run, filters)]


def test_columns_come_in_pages_too(control):
    """The cursor is in the metadata of the schema, and its pages are those of the list."""
    asked = RunFilter(pattern="a.*", states=("failed", "succeeded"))
    first = control.run_columns(asked, limit=10)
    second = control.run_columns(asked, first.schema.metadata[b"next"].decode(), 1000)
    found = [*first.column("run_id").to_pylist(), *second.column("run_id").to_pylist()]
    assert (first.num_rows, second.schema.metadata) == (10, None)
    assert found == paged(control, asked, 7)


def test_a_page_looks_at_no_more_runs_than_it_may(control, monkeypatch):
    """What passes nowhere ends after so many, with the place from which to look on."""
    monkeypatch.setattr(run_lists, "MOST_LOOKED_AT", 100)
    page = control.runs(RunFilter(min_duration_ns=10**6 * SECOND))
    assert page.items == []
    assert page.next is not None


def test_an_older_file_gets_the_indexes_that_are_missing(tmp_path):
    """What lists walk now is there after the next start."""
    path = tmp_path / "control.sqlite"
    Control(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP INDEX runs_host")
    Control(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs_host'").fetchone()
