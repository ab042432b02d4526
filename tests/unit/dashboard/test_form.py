"""The usual keys of a policy as fields, and the document after an edit in one of them."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import HOSTILE

from rota_dashboard.shape import form
from rota_dashboard.shape.spelled import spelled

WHOLE: dict[str, Any] = {
    "schedule": {"cron": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"},
    "expect": {"max_duration": "2h", "failures": 2},
    "retry": {"attempts": 3, "wait": "30s", "on": ["TimeoutError"]},
    "gates": [
        {"kind": "concurrency", "limit": 1, "scope": "warehouse"},
        {"kind": "window", "not": ["Sat..Sun"]},
        {"kind": "approval", "within": "4h"},
    ],
    "tasks": {"load_*": {"permit": True, "retry": {"attempts": 2}}, "extract": {"retry": {"attempts": 5}}},
    "alert": {"channels": ["ops", "oncall"]},
    "share": {"read": ["report.*"]},
}
RETRIED = {"load_*": {"retry": {"attempts": 2}}, "extract": {"retry": {"attempts": 5}}}


def test_each_field_shows_what_stands_in_its_place():
    """Lists with commas, numbers as they are; nothing where nothing stands."""
    shown = form.values(WHOLE)
    assert {path: text for path, text in shown.items() if text} == {
        "when": "cron", "when.text": "0 2 * * *", "schedule.tz": "Europe/Berlin", "schedule.grace": "15m",
        "expect.max_duration": "2h", "retry.attempts": "3", "retry.wait": "30s", "gates:concurrency.limit": "1",
        "gates:window.not": "Sat..Sun", "gates:approval.role": "operate", "gates:approval.within": "4h", "permit": "load_*",
        "alert.channels": "ops, oncall",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "text", "key", "value"),
    [
        ("retry.attempts", "5", "retry", {"attempts": 5, "wait": "30s", "on": ["TimeoutError"]}),
        ("retry.backoff", "1.5", "retry", {"attempts": 3, "wait": "30s", "on": ["TimeoutError"], "backoff": 1.5}),
        ("retry.attempts", "many", "retry", {"attempts": "many", "wait": "30s", "on": ["TimeoutError"]}),
        ("when", "every", "schedule", {"every": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"}),
        ("when", "after", "schedule", {"after": {"workflow": "0 2 * * *"}, "tz": "Europe/Berlin", "grace": "15m"}),
        ("when", "none", "schedule", None),
        ("when.text", "@daily", "schedule", {"cron": "@daily", "tz": "Europe/Berlin", "grace": "15m"}),
        ("permit", "*", "tasks", {**RETRIED, "*": {"permit": True}}),
        ("permit", "", "tasks", RETRIED),
        ("alert.channels", "", "alert", None),
        ("gates:window.not", "", "gates", [WHOLE["gates"][0], WHOLE["gates"][2]]),
        ("gates:concurrency.limit", "2", "gates", [{**WHOLE["gates"][0], "limit": 2}, *WHOLE["gates"][1:]]),
        ("gates:upstream.workflow", "orders", "gates", [*WHOLE["gates"], {"kind": "upstream", "workflow": "orders"}]),
        ("gates:approval.role", "nobody", "gates", WHOLE["gates"][:2]),
        ("gates:approval.role", "admin", "gates", [*WHOLE["gates"][:2], {"kind": "approval", "within": "4h", "role": "admin"}]),
    ],
)  # fmt: skip
def test_an_edit_changes_its_key_and_what_is_beside_it_stays(path: str, text: str, key: str, value: Any):
    """What is empty then is taken out; what is no number where one should be stays, for the collector to say so."""
    edited = form.edited(WHOLE, path, text)
    assert edited.get(key) == value
    assert {each: edited[each] for each in edited if each != key} == {each: WHOLE[each] for each in WHOLE if each != key}


def test_an_after_keeps_how_long_it_may_take():
    """Only the workflow that it names is another one."""
    document = {"schedule": {"after": {"workflow": "a", "within": "30m"}}}
    assert form.edited(document, "when.text", "b") == {"schedule": {"after": {"workflow": "b", "within": "30m"}}}


def test_a_kind_can_be_chosen_before_its_time_is_known():
    """The choice stays, and the collector says what is missing."""
    assert form.edited({}, "when", "cron") == {"schedule": {"cron": ""}}
    assert form.values({"schedule": {"cron": ""}})["when"] == "cron"


def test_a_null_that_takes_the_codes_value_away_survives():
    """Until somebody gives the key a value."""
    document = {"schedule": None, "expect": {"max_duration": None}}
    assert form.edited(document, "retry.attempts", "2") == {**document, "retry": {"attempts": 2}}
    assert form.edited(document, "when.text", "@daily")["schedule"] == {"cron": "@daily"}


def test_a_document_of_the_wrong_shape_has_empty_fields():
    """Whatever stands where a mapping should."""
    for document in ({"schedule": 1, "gates": "x", "tasks": [1], "retry": None}, {"gates": [1, {"kind": []}], "tasks": {"a": 1}}):
        assert not any(text for path, text in form.values(document).items() if path != "when")


def test_what_is_no_field_changes_nothing():
    """A browser may send anything."""
    assert form.edited(WHOLE, HOSTILE, "x") is WHOLE


def test_what_code_declares_stands_there_as_usual():
    """With what the reference says of each key."""
    shown = {each["path"]: each for each in form.fields({"retry": {"wait": "5s"}}, {"schedule": {"every": "1h"}})}
    assert (shown["retry.wait"]["value"], shown["retry.wait"]["usual"]) == ("5s", "e.g. 30s")
    assert (shown["when.text"]["value"], shown["when.text"]["usual"]) == ("", "1h")
    assert shown["when"]["declared"] == "every"
    assert all(each["help"] for each in shown.values())


def test_a_document_is_spelled_for_people():
    """A key a line, lists of words in one, and quotes only where something could be meant otherwise."""
    text = spelled({"schedule": {"cron": "0 2 * * *"}, "gates": [{"kind": "window", "not": ["Sat..Sun"]}], "x": "no", "e": {}})
    assert text == (
        'schedule:\n  cron: "0 2 * * *"\ngates:\n  - kind: window\n    not: [Sat..Sun]\nx: "no"\ne: {}\n'
    )  # fmt: skip
    assert spelled({}) == ""
    assert spelled({"a": "\u202e\x1b😀é"}) == 'a: "\\u202e\\u001b😀é"\n'
