"""All that was told of a run: attributes, history, single spans, measurements."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, iso

from rota.wire import names
from rota_dashboard.shape import told as page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"), (False, "no"), (3, "3"), (0.5, "0.5"), ("x", "x"), ([1, True, "a"], "1, yes, a"), ([], ""),
        ({"a": 1, "b": [2, 3]}, "a: 1, b: 2, 3"), (HOSTILE, HOSTILE),
    ],
)  # fmt: skip
def test_a_value_reads_as_what_it_is(value, text):
    """Lists and objects too; text is text."""
    assert page.value_text(value) == text


def test_a_very_long_value_is_its_head_and_its_tail():
    """A document in an attribute does not make the page."""
    assert len(page.value_text("x" * 1_000_000)) < 50_000


def test_attributes_are_facts_first_and_then_by_name():
    """What the page says elsewhere is left out."""
    found = page.attributes({
        "host.name": "etl-2", "rows": 3, "code.file.path": HOSTILE, "rota.attempt": 1, "cicd.pipeline.name": "etl",
        "exception.message": "no", "day": "x",
    })  # fmt: skip
    assert [(each["name"], each["value"]) for each in found] == [
        ("day", "x"), ("rows", "3"), ("code.file.path", HOSTILE), ("host.name", "etl-2")
    ]  # fmt: skip


def test_what_was_told_is_in_its_order_with_shapes():
    """States by their source, the verdict on its slot, the incident that followed."""
    told = {"at": iso(NIGHT), "said_by": "sdk", "reason": None, "attempt": 1, "detail": None}
    history = [
        told | {"kind": "run", "word": "running"},
        told | {"kind": "run", "word": "timed_out", "reason": "max_duration", "attempt": 2},
        told | {"kind": "slot", "word": "on_time", "said_by": "collector", "detail": iso(NIGHT)},
        told | {"kind": "incident", "word": "opened", "said_by": None, "detail": HOSTILE, "attempt": None, "reason": "not shown"},
    ]
    assert page.history(history, BERLIN) == [
        {"at": "02:00:00", "mark": "r", "what": "running", "by": "sdk", "why": ""},
        {"at": "02:00:00", "mark": "t", "what": "timed out (attempt 2)", "by": "sdk", "why": "max duration"},
        {"at": "02:00:00", "mark": "s", "what": "slot: on time", "by": "collector", "why": ""},
        {"at": "02:00:00", "mark": "", "what": "incident opened", "by": "", "why": HOSTILE},
    ]


def a_span(**fields: Any) -> dict[str, Any]:
    return {
        "trace_id": "1", "span_id": "2", "parent_span_id": None, "name": "load", "kind": "internal", "started_at": iso(NIGHT),
        "ended_at": None, "duration_seconds": 0.42, "status": "unset", "attributes": {}, "scope": None, "status_message": None,
        "events": [], **fields,
    }  # fmt: skip


def test_a_span_says_how_long_when_and_of_which_kind():
    """The usual kind goes without saying; attributes are by name."""
    found = page.span(a_span(kind="client", attributes={"b": 1, "a": HOSTILE}), BERLIN)
    assert found["facts"] == ["0.42 s", "started 02:00:00", "client"]
    assert found["attributes"] == [{"name": "a", "value": HOSTILE}, {"name": "b", "value": "1"}]
    assert page.span(a_span(duration_seconds=None), BERLIN)["facts"] == ["–", "started 02:00:00"]
    assert page.span(a_span(kind="unspecified"), BERLIN)["facts"] == ["0.42 s", "started 02:00:00"]
    assert (found["error"], found["stack"]) == (None, None)


def test_a_failed_span_shows_its_error_and_its_stack():
    """The type, what its status says, and the stack of its exception; an error without a word is still one."""
    events = [{"name": "log", "attributes": {}}, {"name": "exception", "attributes": {names.EXCEPTION_STACK: "Traceback\n"}}]
    failed = a_span(status="error", status_message="no", attributes={names.ERROR_TYPE: "ValueError"}, events=events)
    assert (page.span(failed, BERLIN)["error"], page.span(failed, BERLIN)["stack"]) == ("ValueError: no", "Traceback")
    assert page.span(a_span(status="error"), BERLIN)["error"] == ""
    assert page.span(a_span(status="ok", status_message="fine"), BERLIN)["error"] is None


@pytest.mark.parametrize(
    ("unit", "last", "most"),
    [
        ("By", "2 kB", "3 kB"),
        ("s", "33m 20s", "50m 00s"),
        ("%", "2,000 %", "3,000 %"),
        (None, "2,000", "3,000"),
        ("1", "2,000", "3,000"),
        ("{thread}", "2,000", "3,000"),
    ],
)
def test_a_series_says_its_last_and_its_highest_value_in_its_unit(unit, last, most):
    """Points in ms, named by the attributes that tell it from others."""
    each = {"name": "memory", "unit": unit, "points": [[10**9, 3000.0], [2 * 10**9, 2000.0]],
            "attributes": {"pool": "a", "cicd.pipeline.name": "etl"}}  # fmt: skip
    assert page.series([each]) == [
        {"name": "memory · a", "points": [[1000.0, 3000.0], [2000.0, 2000.0]], "last": last, "most": most}
    ]  # fmt: skip


def test_what_was_measured_to_be_no_number_is_left_out():
    """A gauge may say so, and JSON has null for it."""
    each = {"name": "x", "unit": None, "attributes": {}, "points": [[1e6, None], [2e6, 1.0], [3e6, 2.0], [4e6, None]]}
    [found] = page.series([each])
    assert (found["points"], found["last"], found["most"]) == ([[2.0, 1.0], [3.0, 2.0]], "2", "2")


def test_one_point_is_no_line():
    """Nor is none."""
    assert page.series([{"name": "x", "unit": None, "attributes": {}, "points": points} for points in ([], [[1, 1.0]])]) == []
