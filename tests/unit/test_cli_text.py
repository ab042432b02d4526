"""What the CLI prints for people: aligned, short, and harmless."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from rota.cli import _text
from rota.cli.runs import moment
from rota.cli.show import print_tasks, tree
from rota.errors import UsageError

NOW = datetime(2026, 11, 23, 14, 0, 0, tzinfo=UTC)


@pytest.fixture
def berlin(monkeypatch):
    """The local zone is an hour ahead of UTC."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def terminal(monkeypatch, capsys):
    """A terminal of 40 columns in the place of stdout."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(_text, "on_terminal", lambda: True)
    return capsys


def test_columns_are_aligned_and_numbers_are_on_the_right(capsys):
    """Each column is as wide as its widest cell, also where letters are two columns wide or none."""
    _text.table(("NAME", "N"), [["a", 1], ["日本", 100], ["é́", None]])
    assert capsys.readouterr().out.splitlines() == ["NAME    N", "a       1", "日本  100", "é́"]


def test_a_table_fits_the_terminal(terminal):
    """The widest column gives way, and says so with an ellipsis; the others stay."""
    _text.table(("ID", "ERROR"), [["0199", "x" * 100]])
    line = terminal.readouterr().out.splitlines()[1]
    assert line == "0199  " + "x" * 33 + "…"


def test_what_is_not_a_terminal_gets_the_whole_text(capsys, monkeypatch):
    """`rota runs | grep` finds what is in the table."""
    monkeypatch.setenv("COLUMNS", "40")
    _text.table(("ERROR",), [["x" * 100]])
    assert "x" * 100 in capsys.readouterr().out


@pytest.mark.parametrize(
    ("evil", "shown"),
    [("\x1b[2Jgone", "\\x1b[2Jgone"), ("a\nb\tc\r", "a\\nb\\tc\\r"), ("\x9b31m", "\\x9b31m"), ("abc\u202egnp", "abc\\u202egnp")],
)
def test_nothing_a_script_wrote_moves_the_cursor(terminal, evil, shown):
    """Control characters, escape sequences and direction overrides are written out, not obeyed."""
    _text.table(("NAME",), [[evil], [_text.Cell(evil, "red")]])
    out = terminal.readouterr().out
    assert out.count(shown) == 2
    assert evil not in out


def test_lines_of_a_stack_stay_lines():
    """Only what cannot move the cursor is kept: line breaks, and tabs as spaces."""
    assert _text.clean_lines("a\n\tb\x1b[1m\r\n") == "a\n  b\\x1b[1m"


def test_colours_are_for_terminals_that_want_them(terminal, monkeypatch):
    """A state has its colour on a terminal, unless NO_COLOR is set or it is a dumb one."""
    assert _text.coloured("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert _text.coloured("x", "red") == "x"
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert _text.coloured("x", "red") == "x"


def test_colours_are_not_for_files(capsys, monkeypatch):
    """Output that goes into a pipe has none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _text.coloured("x", "red") == "x"


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-11-23T13:57:00.000000Z", "14:57:00, 3 min ago"),
        ("2026-11-23T13:59:59.500000Z", "14:59:59, now"),
        ("2026-11-23T13:59:20.000000Z", "14:59:20, 40 s ago"),
        ("2026-11-21T22:30:00.000000Z", "21 Nov 23:30, 1 d ago"),
        ("2025-06-01T00:00:00.000000Z", "2025-06-01 02:00, 540 d ago"),
        ("2026-11-23T16:00:00.000000Z", "17:00:00, in 2 h"),
        (None, ""),
    ],
)
def test_times_are_local_and_have_an_age(berlin, at, shown):
    """As short as the day allows; a time ahead of ours is said to be so."""
    assert _text.when(at, NOW) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0123, "12.3 ms"),
        (1, "1.0 s"),
        (59.94, "59.9 s"),
        (250, "4 min 10 s"),
        (7500, "2 h 05 min"),
        (274000, "3 d 04 h"),
        (None, ""),
    ],
)
def test_durations_have_two_units_at_most(seconds, shown):
    """Precise where it is short, short where it is long."""
    assert _text.duration(seconds) == shown


def test_what_runs_shows_how_long_it_has_been_running():
    """A running run has no duration yet; one that ended at an unknown time has none at all."""
    started = (NOW - timedelta(seconds=75)).isoformat().replace("+00:00", "Z")
    assert _text.took({"state": "running", "duration_seconds": None, "started_at": started}, NOW).text == "1 min 15 s so far"
    assert _text.took({"state": "ended", "duration_seconds": None, "started_at": started}, NOW).text == ""


def test_json_is_what_json_reads(capsys):
    """A list is a list however long, and empty when there is nothing."""
    for items in ([], [{"a": 1}], [{"a": "\n☃"}, {"b": None}]):
        _text.json_items(items)
        assert json.loads(capsys.readouterr().out) == items


@pytest.mark.parametrize(
    ("text", "moment_there"),
    [
        ("90m", "2026-11-23T12:30:00.000000Z"),
        ("7d", "2026-11-16T14:00:00.000000Z"),
        ("2026-01-31T02:00Z", "2026-01-31T02:00:00.000000Z"),
        ("2026-07-31", "2026-07-30T22:00:00.000000Z"),
        ("2026-01-31T02:00:00+05:00", "2026-01-30T21:00:00.000000Z"),
    ],
)
def test_a_moment_is_an_age_or_a_time(berlin, text, moment_there):
    """Without a zone it is local time."""
    assert moment(text, NOW) == moment_there


def test_a_moment_that_is_neither_is_refused():
    """With examples of what would do."""
    with pytest.raises(UsageError, match="'soon' is no time. Examples: 90m"):
        moment("soon")


def test_tasks_form_a_tree_in_the_order_of_their_start():
    """Children follow their parent; a parent that is not there, or a circle, hides nobody."""

    def task(span_id, parent, started):
        return {"span_id": span_id, "parent_span_id": parent, "started_at": started}

    tasks = [task("c", "a", "3"), task("b", "root", "2"), task("a", "root", "1"), task("d", "c", "4"), task("e", "a", "2.5")]
    assert [(each["span_id"], depth) for each, depth in tree(tasks)] == [("a", 0), ("e", 1), ("c", 1), ("d", 2), ("b", 0)]
    assert [each["span_id"] for each, _ in tree([task("x", "x", "1")])] == ["x"]
    circle = [task("p", "q", "1"), task("q", "p", "2"), task("r", None, "3")]
    assert sorted(each["span_id"] for each, _ in tree(circle)) == ["p", "q", "r"]


def test_every_outcome_has_a_mark():
    """Good, bad, under way, and neither."""
    assert _text.marks(["succeeded", "failed", "running", "cancelled", "skipped", "queued"]) == "✓✗…-·…"
    assert os.linesep not in _text.marks(["succeeded"])


def test_of_very_many_tasks_the_first_are_printed_and_the_rest_counted(capsys):
    """A run of ten thousand tasks does not fill the terminal; how many more there are, and how to see them, is said."""
    at = "2026-05-05T02:00:%02d.000000Z"
    task = {
        "parent_span_id": None,
        "name": "t",
        "error_type": None,
        "error_message": None,
        "duration_seconds": 1.0,
        "ended_at": at,
    }
    states = ["succeeded"] * 99 + ["failed"]
    tasks = [{**task, "span_id": str(n), "started_at": at % (n // 2), "state": state} for n, state in enumerate(states)]
    print_tasks({"id": "abc", "tasks": tasks}, 60)
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 + 60 + 1
    assert out[-1] == "… and 40 more, of which 1 failed: rota show abc --all"
