"""The control store: runs, rollups and pages, folded from events, in step with its own cursor."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rota.rules.fold import RunEvent
from rota_collector.errors import BadCursor, StoreError
from rota_collector.store.control import NS_A_DAY, Control
from rota_collector.store.control_queries import RunFilter

SECOND = 10**9
T0 = 1_790_000_000 * SECOND
EVERY = RunFilter()


@pytest.fixture
def control(tmp_path):
    store = Control(tmp_path / "control.sqlite")
    yield store
    store.close()


def run_events(n: int, workflow: str = "w", state: str | None = "succeeded", **fields) -> list[RunEvent]:
    """The start of run ``n``, ``n`` seconds after T0, and its end (unless ``state`` is None)."""
    run_id, started = f"0199{n:08x}", T0 + n * SECOND
    found = [RunEvent(f"{run_id}-s", run_id, workflow, "running", started, **fields)]
    if state is not None:
        found.append(RunEvent(f"{run_id}-e", run_id, workflow, state, started + SECOND // 2, started_ns=started, **fields))
    return found


def ids(page) -> list[int]:
    return [int(run.run_id[4:], 16) for run in page.items]


def everything(control: Control, path) -> list:
    """All that the file holds."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return [(name, sorted(connection.execute(f"SELECT * FROM {name}"), key=repr)) for name in names]


def test_a_new_store_begins_at_the_start_of_the_journal(control):
    """An empty store has applied nothing, and says so."""
    assert control.offset() == 0
    assert control.runs(EVERY).items == []
    assert control.workflows(T0).items == []


def test_a_file_that_cannot_be_used_is_said(tmp_path):
    """The path, the database's own words, and a way out."""
    (tmp_path / "control.sqlite").write_text("this is no database, but long enough to look like one" * 100)
    with pytest.raises(StoreError, match=r"control.sqlite is damaged: file is not a database. Restore a backup"):
        Control(tmp_path / "control.sqlite")
    with pytest.raises(StoreError, match="unable to open database file"):
        Control(tmp_path / "none" / "control.sqlite")


def test_it_keeps_every_field_of_a_run(control):
    """What the fold knows of a run is what is read back."""
    told = {
        "reason": "exit", "raw_state": "Oops", "slot_ns": T0, "exit_code": 3, "error_type": "ValueError",
        "error_message": "bad ☃", "error_stack": "line 1\nline 2", "host": "h", "trace_id": "ab" * 16, "span_id": "cd" * 8,
        "parent_run_id": "p", "tags": ("x", "y"),
    }  # fmt: skip
    control.apply(run_events(1, state="failed", **told), 10)
    run = control.run("019900000001")
    assert run is not None
    assert {name: getattr(run, name) for name in told} == told
    assert (run.workflow, run.state, run.started_ns, run.ended_ns) == ("w", "failed", T0 + SECOND, T0 + SECOND + SECOND // 2)


def test_it_knows_no_run_that_it_was_not_told_of(control):
    """An unknown id, workflow or prefix is None or nothing, not an error."""
    assert control.run("nope") is None
    assert control.workflow("nope", T0) is None
    assert control.runs_starting_with("nope") == []


def test_the_cursor_moves_with_the_rows(control, tmp_path):
    """The position is the one of the last batch, and it is there when the file is opened again."""
    control.apply(run_events(1), 100)
    control.apply([], 250)  # records that hold nothing for this store
    assert Control(tmp_path / "control.sqlite").offset() == 250


def test_applying_any_stretch_again_changes_nothing(control, tmp_path):
    """After a crash between two stores' commits, replay leaves every table as it was; the cursor never goes back."""
    batches = [run_events(n, state=state) for n, state in enumerate(("succeeded", "failed", None, "crashed", "ended"))]
    for i, batch in enumerate(batches):
        control.apply(batch, 10 * (i + 1))
    before = everything(control, tmp_path / "control.sqlite")
    for i, batch in enumerate(batches):
        control.apply(batch, 10 * (i + 1))
    control.apply([each for batch in batches for each in batch], 30)
    assert everything(control, tmp_path / "control.sqlite") == before


def test_a_batch_that_fails_leaves_nothing(control, tmp_path):
    """Rows, rollups and cursor change together or not at all."""
    control.apply(run_events(1), 10)
    before = everything(control, tmp_path / "control.sqlite")
    broken = run_events(2)[0]._replace(workflow=None)
    with pytest.raises(Exception, match="NOT NULL"):
        control.apply([*run_events(3), broken], 20)
    assert everything(control, tmp_path / "control.sqlite") == before
    assert control.offset() == 10


@pytest.mark.parametrize("wrong", [{"slot_ns": 2**70}, {"exit_code": -(2**63) - 1}, {"error_message": "\ud800"}], ids=repr)
def test_a_value_that_no_database_takes_does_not_stop_the_others(control, wrong):
    """A number beyond 64 bits is dropped and half a character replaced: one mad event must not hold up the journal for ever."""
    control.apply([*run_events(1), *run_events(2, state="failed", error_type="E", **wrong), *run_events(3)], 10)
    assert ids(control.runs(EVERY)) == [3, 2, 1]
    run = control.run(f"0199{2:08x}")
    assert run is not None
    assert (run.slot_ns, run.exit_code, run.error_message) in ((None, None, None), (None, None, "?"))


def test_a_time_beyond_the_year_2262_is_no_time(control):
    """The wire's times have 64 bits without a sign; one that does not fit is listed where nobody looks for it: in 1970."""
    control.apply([*run_events(1), *(each._replace(at_ns=2**64 - 1, started_ns=None) for each in run_events(2))], 10)
    assert ids(control.runs(EVERY)) == [1, 2]


def test_readers_do_not_wait_for_the_writer(control):
    """A list is read while a batch is being written, and shows the state before it."""
    control.apply(run_events(1), 10)
    with control._writer.begin():
        found: list = []
        reader = threading.Thread(target=lambda: found.append(ids(control.runs(EVERY))))
        reader.start()
        reader.join(5)
    assert found == [[1]]


def test_runs_are_listed_by_their_start_the_last_first(control):
    """The order of arrival does not matter."""
    for n in (3, 1, 2):
        control.apply(run_events(n), n)
    assert ids(control.runs(EVERY)) == [3, 2, 1]


def test_pages_show_every_run_once(control):
    """Following `next` visits each run exactly once, also those that started in the same nanosecond."""
    events = [each for n in range(25) for each in run_events(n)]
    control.apply([each._replace(at_ns=T0, started_ns=T0) if n % 3 else each for n, each in enumerate(events)], 1)
    seen, page = [], control.runs(EVERY, None, 4)
    while True:
        seen += ids(page)
        if page.next is None:
            break
        page = control.runs(EVERY, page.next, 4)
    assert sorted(seen) == list(range(25))


def test_a_run_that_starts_meanwhile_does_not_shift_the_pages(control):
    """The second page begins after the last row of the first, whatever was added on top."""
    control.apply([each for n in range(6) for each in run_events(n)], 1)
    first = control.runs(EVERY, None, 3)
    control.apply(run_events(9), 2)
    assert ids(control.runs(EVERY, first.next, 3)) == [2, 1, 0]


@pytest.mark.parametrize("cursor", ["", "x", "!!!", "bnVsbA", "WzEsMl0", "WyJhIiwiYiJd", "é" * 3], ids=repr)
def test_a_cursor_of_somebody_elses_making_is_refused(control, cursor):
    """The error names the cursor and the way out; nothing else happens."""
    with pytest.raises(BadCursor, match="leave it out"):
        control.runs(EVERY, cursor)


def test_it_filters_by_workflow_state_tag_and_time(control):
    """Each filter alone and all together."""
    for n in range(12):
        state = ("succeeded", "failed", None)[n % 3]
        control.apply(run_events(n, f"w{n % 2}", state, tags=("even",) if n % 2 == 0 else ("odd", "x")), n)
    assert ids(control.runs(RunFilter(workflow="w1"))) == [11, 9, 7, 5, 3, 1]
    assert ids(control.runs(RunFilter(states=("running",)))) == [11, 8, 5, 2]
    assert ids(control.runs(RunFilter(tag="even", states=("failed",)))) == [10, 4]
    assert ids(control.runs(RunFilter(since_ns=T0 + 3 * SECOND, until_ns=T0 + 6 * SECOND))) == [5, 4, 3]
    assert ids(control.runs(RunFilter("w1", ("failed",), "x", T0 + 2 * SECOND, T0 + 11 * SECOND))) == [7]
    page = control.runs(RunFilter(tag="even"), None, 4)
    assert ids(page) + ids(control.runs(RunFilter(tag="even"), page.next, 4)) == [10, 8, 6, 4, 2, 0]


def test_a_late_start_moves_a_run_to_its_place(control):
    """An end whose start is not known is listed when it was heard of; the start then corrects it, tags included."""
    late = [each._replace(started_ns=None, tags=("x",)) for each in run_events(1)]
    control.apply([late[1]._replace(at_ns=T0 + 9 * SECOND)], 1)
    control.apply(run_events(5, tags=("x",)), 2)
    assert ids(control.runs(RunFilter(tag="x"))) == [1, 5]
    control.apply([late[0]], 3)
    assert ids(control.runs(RunFilter(tag="x"))) == [5, 1]
    assert ids(control.runs(EVERY)) == [5, 1]


def test_a_workflow_shows_its_last_run_and_the_outcomes_of_the_last_30(control):
    """Outcomes come the oldest first; tags are those of the last run."""
    for n in range(40):
        control.apply(run_events(n, state="failed" if n % 10 == 9 else "succeeded", tags=(f"t{n}",)), n)
    workflow = control.workflow("w", T0)
    assert workflow is not None
    assert workflow.last_run.run_id == f"0199{39:08x}"
    assert workflow.last_run.tags == ("t39",)
    assert workflow.outcomes == ["failed" if n % 10 == 9 else "succeeded" for n in range(10, 40)]


def test_a_success_rate_counts_only_what_succeeded_or_failed(control):
    """`ended`, `cancelled` and `skipped` count neither way; every kind of failure counts against."""
    states = ["succeeded"] * 6 + ["failed", "timed_out", "crashed", "upstream_failed", "ended", "cancelled", "skipped", None]
    for n, state in enumerate(states):
        control.apply(run_events(n, state=state), n)
    assert control.workflow("w", T0).success_rate_30d == pytest.approx(0.6)


def test_a_success_rate_without_data_is_none(control):
    """A workflow that only ran, was cancelled or is older than 30 days has no rate: not 0, not 1."""
    control.apply(run_events(1, "cancelled", "cancelled") + run_events(2, "running", None) + run_events(3, "old"), 1)
    assert control.workflow("cancelled", T0).success_rate_30d is None
    assert control.workflow("running", T0).success_rate_30d is None
    assert control.workflow("old", T0 + 29 * NS_A_DAY).success_rate_30d == 1
    assert control.workflow("old", T0 + 31 * NS_A_DAY).success_rate_30d is None


def test_workflows_are_listed_by_name_page_by_page(control):
    """Every workflow once, in the order of the names."""
    for n, name in enumerate("dbeac"):
        control.apply(run_events(n, name), n)
    first = control.workflows(T0, None, 3)
    second = control.workflows(T0, first.next, 3)
    assert [[each.name for each in page.items] for page in (first, second)] == [["a", "b", "c"], ["d", "e"]]
    assert second.next is None


def test_a_run_that_turns_out_to_be_anothers_leaves_no_trace(control):
    """The earliest event names the workflow; a workflow whose only run was a mistake goes."""
    start, end = run_events(1, "right")
    control.apply([end._replace(workflow="wrong")], 1)
    control.apply([start], 2)
    assert control.workflow("wrong", T0) is None
    assert control.workflow("right", T0).success_rate_30d == 1
    assert [each.name for each in control.workflows(T0).items] == ["right"]


def test_the_beginning_of_an_id_finds_its_runs(control):
    """As many as asked for, in order; `%` and `_` are letters like others."""
    control.apply([each for n in (1, 2, 0x10) for each in run_events(n)], 1)
    assert control.runs_starting_with("01990000000") == ["019900000001", "019900000002"]
    assert control.runs_starting_with("01990000001") == ["019900000010"]
    assert control.runs_starting_with("%") == control.runs_starting_with("0199_") == []


def any_event(event_id, run_id, workflow, state, at_ns, attempt, tags) -> RunEvent:
    return RunEvent(event_id, run_id, workflow, state, at_ns, attempt, tags=tags)


batches = st.lists(
    st.lists(
        st.builds(
            any_event,
            event_id=st.uuids().map(str),
            run_id=st.sampled_from([f"run{n}" for n in range(6)]),
            workflow=st.sampled_from(("a", "b", "c")),
            state=st.sampled_from(("running", "succeeded", "failed", "crashed", "ended", "skipped")),
            at_ns=st.integers(0, 5).map(lambda day: T0 + day * NS_A_DAY // 2),
            attempt=st.integers(1, 2),
            tags=st.sampled_from(((), ("x",), ("x", "y"))),
        ),
        max_size=8,
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches, st.integers(0, 2**32))
def test_rollups_are_what_counting_the_rows_gives(tmp_path, given_batches, seed):
    """However events are split into batches, reordered and repeated, rollups agree with the rows that they summarise."""
    path = tmp_path / f"{random.getrandbits(64):x}.sqlite"
    control, chance = Control(path), random.Random(seed)
    applied: list[RunEvent] = []
    for offset, batch in enumerate(given_batches, start=1):
        applied += batch
        control.apply(batch + chance.sample(applied, min(3, len(applied))), offset)
    runs = control.runs(EVERY, None, 100).items
    for workflow in control.workflows(T0).items:
        own = [run for run in reversed(runs) if run.workflow == workflow.name]
        assert workflow.outcomes == [run.state for run in own]
        assert workflow.last_run == own[-1]
        counts = Counter(run.state for run in own)
        good, bad = counts["succeeded"], counts["failed"] + counts["crashed"]
        assert workflow.success_rate_30d == (good / (good + bad) if good + bad else None)
    assert {workflow.name for workflow in control.workflows(T0).items} == {run.workflow for run in runs}
    for tag in "xy":
        assert control.runs(RunFilter(tag=tag), None, 100).items == [run for run in runs if tag in run.tags]
    control.close()
