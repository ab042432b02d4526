"""What the end of a process says of its runs."""

from __future__ import annotations

import json
import signal

import pytest
from otlp_receiver import RUN_ID, records, state_line
from scripts import plain

from rota.agent import ends
from rota.agent.witness import Ending
from rota.wire import names

OTHER_ID = RUN_ID[:-1] + "2"
RUNNING = state_line("running")


def said(lines: list[bytes], ending: Ending | None, at_ns: int = 9_000) -> list[dict[str, object]]:
    """The attributes of the events that are added."""
    found = []
    for line in ends.end_lines(ends.read(lines), ending, at_ns):
        for record in records(json.loads(line)):
            pairs = {pair["key"]: plain(pair["value"]) for pair in record["attributes"]}
            found.append({**pairs, "at_ns": int(record["timeUnixNano"]), "trace_id": record["traceId"]})
    return found


@pytest.mark.parametrize(
    ("ending", "state", "reason", "exit_code", "signal_name"),
    [
        (Ending(0), "succeeded", "exit", 0, None),
        (Ending(3), "failed", "exit", 3, None),
        (Ending(130), "failed", "exit", 130, None),
        (Ending(143, signal.SIGTERM), "cancelled", "sigterm", 143, "SIGTERM"),
        (Ending(130, signal.SIGINT), "cancelled", "sigint", 130, "SIGINT"),
        (Ending(137, signal.SIGKILL), "crashed", "sigkill", 137, "SIGKILL"),
        (Ending(139, signal.SIGSEGV), "crashed", "sigsegv", 139, "SIGSEGV"),
        (Ending(162, 34), "crashed", "sigrtmin", 162, "SIGRTMIN"),
        (Ending(163, 35), "crashed", "sig35", 163, "SIG35"),
    ],
    ids=str,
)
def test_an_exit_status_ends_an_open_run(ending, state, reason, exit_code, signal_name):
    """TERM and INT cancel, other signals crash, a code other than 0 fails; the status itself is kept."""
    (event,) = said([RUNNING], ending)
    assert (event[names.STATE], event[names.REASON]) == (state, reason)
    assert (event[names.PROCESS_EXIT_CODE], event.get(names.PROCESS_SIGNAL)) == (exit_code, signal_name)
    assert event[names.SOURCE] == "agent"


def test_an_end_belongs_to_the_run_that_began():
    """The added event repeats the run's identity, its trace and its start, so that it alone tells a duration."""
    (event,) = said([RUNNING], Ending(1))
    assert (event[names.RUN_ID], event[names.WORKFLOW], event[names.ATTEMPT]) == (RUN_ID, "etl", 1)
    assert (event["trace_id"], event[names.RUN_STARTED], event["at_ns"]) == (RUN_ID.replace("-", ""), 1_000, 9_000)


def test_resource_and_scope_are_the_scripts_own():
    """The added line has the resource and scope of the lines before it: it is told from the same place."""
    (line,) = ends.end_lines(ends.read([RUNNING]), None, 9_000)
    added, began = (json.loads(text)["resourceLogs"][0] for text in (line, RUNNING))
    assert added["resource"] == began["resource"]
    assert added["scopeLogs"][0]["scope"] == began["scopeLogs"][0]["scope"]


def test_an_unseen_end_is_a_crash_that_everybody_tells_alike():
    """Without a status an open run has crashed (vanished), and whoever infers it writes the same event id."""
    (event,), (again,) = said([RUNNING], None), said([RUNNING], None, at_ns=9_500)
    assert (event[names.STATE], event[names.REASON], event.get(names.PROCESS_EXIT_CODE)) == ("crashed", "vanished", None)
    assert event[names.EVENT_ID] == again[names.EVENT_ID]


def test_another_attempt_is_another_event():
    """Two attempts that vanish are two facts."""
    (first,), (second,) = said([RUNNING], None), said([state_line("running", attempt=2)], None)
    assert first[names.EVENT_ID] != second[names.EVENT_ID]


@pytest.mark.parametrize(
    ("word", "ending"),
    [
        (state_line("succeeded", exit_code=0), Ending(0)),
        (state_line("succeeded"), Ending(0)),
        (state_line("failed", exit_code=3), Ending(3)),
        (state_line("cancelled", exit_code=130), Ending(130, signal.SIGINT)),
        (state_line("skipped"), Ending(0)),
        (state_line("failed"), Ending(1)),
        (state_line("failed", exit_code=1), None),
        (state_line("ended"), None),
    ],
)
def test_a_word_that_the_status_confirms_needs_no_other(word, ending):
    """When the process told its end and the kernel does not disagree, nothing is added."""
    assert said([RUNNING, word], ending) == []


@pytest.mark.parametrize(
    ("word", "ending", "state"),
    [
        (state_line("ended"), Ending(4), "failed"),
        (state_line("ended"), Ending(0), "succeeded"),
        (state_line("succeeded", exit_code=0), Ending(7), "failed"),
        (state_line("succeeded"), Ending(137, signal.SIGKILL), "crashed"),
        (state_line("failed", exit_code=1), Ending(0), "succeeded"),
        (state_line("crashed", reason="vanished"), Ending(2), "failed"),
    ],
)
def test_a_status_that_contradicts_the_processs_word_is_told_too(word, ending, state):
    """The outside word is added when the exit status is another than the process said, or somebody only inferred the end."""
    (event,) = said([RUNNING, word], ending)
    assert event[names.STATE] == state


def test_a_new_attempt_opens_the_run_again():
    """The end of an earlier attempt is not the end of a later one."""
    lines = [RUNNING, state_line("failed", exit_code=1), state_line("running", attempt=2)]
    (event,) = said(lines, None)
    assert (event[names.ATTEMPT], event[names.REASON]) == (2, "vanished")


@pytest.mark.parametrize(
    ("own", "ending", "expected"),
    [
        ([RUNNING], Ending(1), ("crashed", "process_ended")),
        ([RUNNING], Ending(0), ("ended", "process_ended")),
        ([RUNNING, state_line("succeeded", exit_code=0)], None, ("ended", "process_ended")),
        ([RUNNING, state_line("failed", exit_code=1)], None, ("crashed", "process_ended")),
        ([RUNNING], None, ("crashed", "process_ended")),
        ([], None, ("crashed", "vanished")),
    ],
)
def test_an_inner_run_left_open_ends_with_its_process(own, ending, expected):
    """A run inside a process that ended well has ended (nobody knows how); in one that ended badly it crashed."""
    lines = [*own, state_line("running", run_id=OTHER_ID, scope="inner")]
    events = {event[names.RUN_ID]: (event[names.STATE], event[names.REASON]) for event in said(lines, ending)}
    assert events[OTHER_ID] == expected


def test_an_inner_run_is_not_judged_by_the_processs_status():
    """A run that ended inside a process keeps its own word, whatever the process's exit status."""
    lines = [state_line("running", run_id=OTHER_ID, scope="inner"), state_line("failed", run_id=OTHER_ID, scope="inner")]
    assert said(lines, Ending(0)) == []


def test_an_end_is_never_before_its_start():
    """A clock that was set back makes no negative duration."""
    (event,) = said([state_line("running", at_ns=5_000)], Ending(0), at_ns=4_000)
    assert event["at_ns"] == 5_000


@pytest.mark.parametrize(
    "line",
    [
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"rota.run.state"',
        b'"rota.run.state"',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"rota.run.state","attributes":[]}]}]}]}',
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"rota.run.state","attributes":[{"value":1}]}]}]}]}',
        b'\xff\xfe"rota.run.state"',
        b"[" * 100_000 + b'"rota.run.state"',
    ],
)
def test_a_damaged_line_hides_no_other(line):
    """Lines that cannot be read tell nothing; those around them still do."""
    (event,) = said([line, RUNNING, line], None)
    assert event[names.RUN_ID] == RUN_ID


def test_ids_that_are_not_hex_are_left_out():
    """What a damaged file holds cannot break the line that is made of it."""
    broken = RUNNING.replace(b'"spanId":"00000000000000aa"', b'"spanId":"\\"},"')
    (line,) = ends.end_lines(ends.read([broken]), None, 9_000)
    (record,) = records(json.loads(line))
    assert record["spanId"] == ""
