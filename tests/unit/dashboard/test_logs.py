"""Log records as lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dashboard_items import BERLIN, HOSTILE, a_record

import rota_dashboard
from rota.wire import names
from rota_dashboard.shape.logs import line, lines


def test_a_record_is_its_time_its_severity_and_its_text():
    """To the millisecond, where the reader is."""
    assert line(a_record(), BERLIN) == {"at": "02:00:03.042", "severity": "INFO", "tone": "", "text": "loaded"}
    assert line(a_record(at=None), BERLIN)["at"] == ""


@pytest.mark.parametrize(
    ("severity", "tone"),
    [
        ("info", ""), ("debug", ""), ("warn", "warn"), ("WARNING", "warn"), ("error", "bad"), ("Fatal", "bad"),
        ("CRITICAL", "bad"), (None, ""), (17, ""), ("notice", ""),
    ],
)  # fmt: skip
def test_what_is_severe_is_coloured(severity, tone):
    """As its sender called it, in capitals."""
    found = line(a_record(severity=severity), BERLIN)
    assert (found["tone"], found["severity"]) == (tone, str(severity or "").upper())


@pytest.mark.parametrize(("stream", "word"), [("stderr", "stderr"), ("stdout", "stdout"), (None, "output")])
def test_output_is_named_by_its_stream(stream, word):
    """It has no severity of its own, and nothing in it is an error because of where it was written."""
    attributes = {names.OUTPUT_STREAM: stream} if stream else {}
    found = line(a_record("done\n", event_name=names.OUTPUT_EVENT, severity="error", attributes=attributes), BERLIN)
    assert (found["severity"], found["tone"], found["text"]) == (word, "", "done")


@pytest.mark.parametrize(
    ("body", "event", "text"),
    [
        ("text", "my.event", "text"), ("", "my.event", "my.event"), (None, "my.event", "my.event"), (None, None, ""),
        ({"a": [1, "é"]}, None, '{"a": [1, "é"]}'), (0, None, "0"), (True, None, "true"), ("a\nb\n\n", None, "a\nb"),
    ],
)  # fmt: skip
def test_a_body_is_text_or_json(body, event, text):
    """An event without a body is shown by its name."""
    assert line(a_record(body, event_name=event), BERLIN)["text"] == text


def test_a_stack_stands_below():
    """As it was printed."""
    stack = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no\n'
    found = line(a_record("it broke", attributes={names.EXCEPTION_STACK: stack}), BERLIN)
    assert found["text"] == f"it broke\n{stack}".rstrip("\n")


def test_what_somebody_wrote_is_passed_on_untouched():
    """It is data: whoever draws it makes it harmless."""
    assert line(a_record(HOSTILE, severity=HOSTILE), BERLIN)["text"] == HOSTILE


@pytest.mark.parametrize(
    "character", ["\x1b", "\x00", "\x08", "\x7f", "\x9b", "\u202a", "\u202e", "\u2066", "\u2069", "\u200b", "\u200e", "\ufeff"]
)
def test_what_nobody_sees_is_made_visible_where_it_is_drawn(character):
    """Terminal sequences, marks that turn text round, characters without width: ``base.js`` writes them out."""
    assert unseen().search(character)


@pytest.mark.parametrize("text", ["tab\tand\nline", "naïve 日本 עברית", "– “quoted” …", "🚀", "a b"])
def test_what_people_write_stays_as_it_is(text):
    """Letters of any script, tabs and lines."""
    assert not unseen().search(text)


def unseen() -> re.Pattern[str]:
    """The characters that the browser writes out."""
    source = (Path(rota_dashboard.__file__).parent / "parts" / "web" / "base.js").read_text()
    found = re.search(r"const UNSEEN = /(\[[^/]+\])/g;", source)
    assert found is not None
    return re.compile(found[1])


def test_a_megabyte_is_its_head_and_its_tail():
    """With how much is left out."""
    text = line(a_record("a" * 500_000 + "b" * 500_000), BERLIN)["text"]
    assert len(text) < 50_000
    assert re.fullmatch(r"a+\n… 9\d\d,000 characters left out …\nb+", text)
    assert line(a_record("x" * 4000), BERLIN)["text"] == "x" * 4000


@pytest.mark.parametrize(
    ("count", "is_narrowed", "shown", "note"),
    [
        (0, False, 0, "It said nothing that reached rota."),
        (0, True, 0, "Nothing matches."),
        (3, False, 3, ""),
        (4, False, 3, "The last 3; search to find earlier ones."),
    ],
)
def test_how_many_there_are_is_said_where_it_matters(count, is_narrowed, shown, note):
    """None, none that match, or more than are shown: the last ones."""
    found = lines([a_record(str(i)) for i in range(count)], BERLIN, 3, is_narrowed=is_narrowed)
    assert [each["text"] for each in found["lines"]] == [str(i) for i in range(count)][-3:][:shown]
    assert found["note"] == note
