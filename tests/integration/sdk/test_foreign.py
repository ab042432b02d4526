"""Runs of other systems, told by a process that looks on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable

import pytest
from scripts import Outcome

from rota.foreign import Source
from rota.wire import ids
from rota_collector.decode.events import run_events
from rota_collector.journal import Record, Signal

Run = Callable[..., Outcome]

TELLING = """
    from rota.foreign import Source
    from rota.wire import names
    source = Source("airflow")
    key = ("etl", "manual__1")
    S = 10**9
    def tell():
        source.run("etl", key, "running", 100 * S, raw_state="running", started_ns=100 * S, slot_ns=90 * S)
        source.task("etl", key, "extract", "running", 101 * S)
        source.task("etl", key, "extract", "succeeded", 103 * S, started_ns=101 * S, facts={"rows": 3})
        source.task("etl", key, "load", "failed", 105 * S, started_ns=104 * S, instance="2",
                    error={names.ERROR_TYPE: "ValueError", names.EXCEPTION_TYPE: "ValueError", names.EXCEPTION_MESSAGE: "row 7"})
        source.task("etl", key, "report", "upstream_failed", 105 * S)
        source.run("etl", key, "failed", 106 * S, raw_state="failed", started_ns=100 * S)
    tell()
    tell()
    source.flush()
"""


def test_a_run_and_its_tasks_are_told_as_ours_are(run: Run) -> None:
    """States as events, tasks as spans under the attempt's own; names of the other system make the ids."""
    outcome = run(TELLING)
    told = outcome.events
    states = [(each["rota.run.state"], each["rota.state.raw"], each["rota.source"]) for each in told if "rota.run.state" in each]
    assert set(states) == {("running", "running", "airflow"), ("failed", "failed", "airflow")}
    run_id = Source("airflow").run_id(("etl", "manual__1"))
    assert {each["cicd.pipeline.run.id"] for each in told} == {run_id}
    spans = {span["name"]: span for span in outcome.spans}
    root = spans["etl"]
    assert {spans[name]["parentSpanId"] for name in ("extract", "load", "report")} == {root["spanId"]}
    assert {span["traceId"] for span in outcome.spans} == {run_id.replace("-", "")}
    assert spans["load"]["status"]["code"] == 2
    assert [event["name"] for event in spans["load"]["events"]] == ["exception"]
    assert "status" not in spans["report"]


def test_the_host_of_who_looks_on_is_not_the_run_s(run: Run) -> None:
    """Where it runs is known only if the system says so; what runs in this process runs here."""
    outcome = run("""
        from rota.foreign import Source
        looking, within = Source("airflow"), Source("luigi", ends_with_process=True)
        looking.run("unknown", ("etl", "1"), "running", 1)
        looking.run("elsewhere", ("etl", "2"), "running", 1, host="worker-7")
        within.run("here", ("etl", "3"), "running", 1)
    """)
    lines = [line for path in (outcome.home / "spool").rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    hosts = {event.workflow: event.host for event in run_events([Record(0, 0, Signal.LOGS_JSON, 0, line) for line in lines])}
    assert hosts == {"unknown": None, "elsewhere": "worker-7", "here": os.uname().nodename}


def test_what_is_told_twice_has_the_same_ids(run: Run) -> None:
    """So that it is one fact for the collector, however often a history is read."""
    outcome = run(TELLING)
    events = [each["rota.event.id"] for each in outcome.events]
    assert len(events) == 2 * len(set(events))
    spans = [span["spanId"] for span in outcome.spans]
    assert len(spans) == 2 * len(set(spans))


def test_ids_are_those_that_the_collector_makes_of_the_system_s_own_spans(home: Path) -> None:
    """A DAG run that is seen in both ways is one run."""
    from rota_collector.decode.scalars import uuid_of

    assert Source("airflow").run_id(("etl", "manual__1")) == str(uuid_of("airflow/etl/manual__1"))
    prefect = "01990000-0000-7000-8000-00000000000b"
    assert Source("prefect").run_id((prefect,)) == prefect


@pytest.mark.parametrize("tell", ["run", "task"])
def test_a_state_that_there_is_not_is_refused(tell: str, home: Path) -> None:
    """The message names those that there are."""
    source: Any = Source("x")
    more = () if tell == "run" else ("task",)
    with pytest.raises(ValueError, match="'done' is no state of a .*: there are scheduled, queued"):
        getattr(source, tell)("etl", ("1",), *more, "done", 1)


def test_nothing_is_written_where_rota_is_disabled(run: Run, home: Path) -> None:
    """As everywhere."""
    outcome = run(TELLING, environment={"ROTA_DISABLED": "1"})
    assert (outcome.code, outcome.events, outcome.spans) == (0, [], [])


def test_a_run_that_was_begun_is_told_to_its_end(run: Run) -> None:
    """Whether rota is disabled is asked before the first word: later, half a run would stay open for ever."""
    outcome = run("""
        import os
        from rota.foreign import Source
        source = Source("airflow", ends_with_process=True)
        source.run("etl", ("etl", "1"), "running", 1)
        os.environ["ROTA_DISABLED"] = "1"
        source.run("etl", ("etl", "1"), "succeeded", 2)
    """)
    assert [each["rota.run.state"] for each in outcome.events] == ["running", "succeeded"]


UUID_TEXT = "5b2c2b63-7f9e-4c9e-8d7f-4e5b7e7ad8b1"


@pytest.mark.parametrize(
    "text", ["airflow/etl/1", "/", "é/\udcff", f"{UUID_TEXT}/1", "etl", UUID_TEXT, UUID_TEXT.upper(), f"urn:uuid:{UUID_TEXT}"]
)
def test_an_id_is_the_same_however_it_is_made(text: str, home: Path) -> None:
    """As a UUID, for who keeps it as one; as a text, for who only tells it."""
    assert ids.uuid_text(text) == str(ids.uuid_of(text))


SEVERAL = """
    from rota.foreign import Source
    from rota.wire import names
    def error(text): return {names.ERROR_TYPE: "E", names.EXCEPTION_TYPE: "E", names.EXCEPTION_MESSAGE: text}
    source, S = Source("airflow"), 10**9
    for run in ("one", "two"):
        source.task("etl", (run, "1"), "flaky", "failed", 1 * S, error=error("at first"))
        source.task("etl", (run, "1"), "flaky", "succeeded", 2 * S, attempt=2)
        if run == "two":
            source.task("etl", (run, "1"), "load", "failed", 3 * S, error=error("row 7"))
            source.task("etl", (run, "1"), "late", "failed", 4 * S, error=error("row 8"))
        source.run("etl", (run, "1"), "failed", 5 * S, started_ns=0)
    source.run("etl", ("two", "2"), "failed", 5 * S, started_ns=0)
"""


def test_a_run_that_failed_says_what_its_first_failed_task_said(run: Run) -> None:
    """Unless its system says why itself; not of a task that made it after all, nor of another run."""
    outcome = run(SEVERAL)
    told = [each.get("exception.message") for each in outcome.events if each.get("rota.run.state") == "failed"]
    assert told == [None, "row 7", None]


LEAVING = """
    import os
    from pathlib import Path
    from rota.foreign import Source
    source, spool = Source("airflow"), Path(os.environ["ROTA_HOME"], "spool")
    def there():
        print(*(len(list((spool / folder).glob("*.jsonl"))) for folder in ("live", "left")))
    for number in range(3):
        source.run("etl", ("etl", str(number)), "running", number)
        source.leave()
        there()
    source.leave()
    there()
"""


def test_what_leaves_is_not_kept_open_and_each_time_is_a_spool_of_its_own(run: Run) -> None:
    """For shippers, who take what nobody writes to any more; with nothing new, nothing is made."""
    outcome = run(LEAVING)
    assert outcome.stdout.split() == [b"0", b"1", b"0", b"2", b"0", b"3", b"0", b"3"]
    assert len(outcome.events) == 3


HURRIED = """
    import os, socket, tempfile
    from rota.foreign import Source
    os.environ["ROTA_AGENT"] = path = os.path.join(tempfile.mkdtemp(), "agent.sock")
    agent = socket.socket(socket.AF_UNIX)
    agent.bind(path)
    agent.listen()
    agent.settimeout(30)
    def hello():
        return agent.accept()[0].recv(1000)[:9].decode()
    source = Source("airflow")
    source.run("etl", ("etl", "1"), "running", 1)
    print(hello())
    source.leave()
    print(hello())
"""


def test_an_agent_is_told_when_something_leaves(run: Run) -> None:
    """So that it looks now, and not when it would have."""
    assert run(HURRIED).stdout.split() == [b'{"hello":'] * 2
