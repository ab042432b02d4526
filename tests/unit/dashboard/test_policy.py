"""The page of a policy: drafts, differences, what history says of them, and versions."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NOW, a_policy, a_version

from rota_dashboard.shape import policy as shape
from rota_dashboard.shape.policy import Examined

RETRY = {"retry": {"attempts": 2}}
EXPECT = {"expect": {"failures": 2}}


def known(document: dict[str, Any] | None = None, *versions: dict[str, Any], **fields: Any) -> shape.Known:
    return shape.Known(a_policy(document, **fields), list(versions), NOW)


def read(document: Any, level: str | None = "retry", **fields: Any) -> Examined:
    """As the collector reads a draft."""
    item = {"workflow": "w", "document": document, "level": level, "problems": [], "warnings": [], **fields}
    return Examined(item)


def editor(found: shape.Known, draft: shape.Draft, examined: Examined) -> dict[str, Any]:
    return shape.editor(found, draft, examined, may=True, saved=None)


def test_a_draft_begins_with_what_is_stored():
    """As text; what code declares is no part of it."""
    draft = shape.begun(a_policy(RETRY, declared=EXPECT, version=3))
    assert (draft.text, draft.version) == ("retry:\n  attempts: 2\n", 3)
    assert shape.is_untouched(draft)
    assert shape.begun(a_policy()).text == ""


def test_an_edit_in_the_form_is_in_the_text():
    """And what no field is for stays there; the edit is known by its number."""
    draft = shape.begun(a_policy({"share": {"read": ["a.*"]}, **RETRY}))
    edited = shape.with_field(draft, "retry.wait", "9s", 4)
    assert edited.text == "share:\n  read: [a.*]\nretry:\n  attempts: 2\n  wait: 9s\n"
    assert (edited.serial, shape.is_untouched(edited)) == (4, False)


def test_what_differs_is_shown_line_by_line():
    """With a sign before each line, and some around it; nothing when nothing differs, whatever the layout of the text."""
    before = {"expect": {"failures": 2, "max_duration": "2h"}, "retry": {"attempts": 2}}
    after = {"expect": {"failures": 3, "max_duration": "2h"}, "retry": {"attempts": 2}}
    found = [f"{sign}{line}" for sign, line in shape.compared(before, after)]
    assert found == [" expect:", "-  failures: 2", "+  failures: 3", "   max_duration: 2h", " retry:", "   attempts: 2"]
    assert list(shape.compared(before, before)) == []
    assert list(shape.compared({}, RETRY)) == [("+", "retry:"), ("+", "  attempts: 2")]


def test_another_order_is_no_difference():
    """But for the patterns of functions: the first that matches counts."""
    before = {"expect": {"failures": 2, "silence": "1h"}, "retry": {"attempts": 2}}
    assert list(shape.compared(before, {"retry": {"attempts": 2}, "expect": {"silence": "1h", "failures": 2}})) == []
    patterns = {"load_*": {"permit": True}, "*": {"permit": False}}
    turned = dict(reversed(patterns.items()))
    assert [sign for sign, _ in shape.compared({"tasks": patterns}, {"tasks": turned})].count("+") == 2


def test_lines_between_two_changes_are_left_out():
    """And it is seen that they are."""
    many = {f"k{n:02}": n for n in range(30)}
    signs = [sign for sign, _ in shape.compared(many, {**many, "k00": 1, "k29": 1})]
    assert signs == ["-", "+", " ", " ", " ", "@", " ", " ", " ", "-", "+"]


def test_a_draft_that_cannot_be_stored_says_why():
    """What the collector says, word by word; where the text is unreadable there is nothing to fill a form with."""
    found, draft = known(RETRY), shape.begun(a_policy(RETRY))
    wrong = editor(found, draft, read({"retrys": {}}, None, problems=["retrys: unknown key; did you mean retry?", HOSTILE]))
    assert wrong["problems"] == ["retrys: unknown key; did you mean retry?", HOSTILE]
    assert (wrong["is_readable"], wrong["then"]) == (True, None)
    torn = editor(found, draft, Examined(None, "line 2, column 1: expected ':'."))
    assert (torn["problems"], torn["is_readable"], torn["difference"]) == (["line 2, column 1: expected ':'."], False, [])


@pytest.mark.parametrize(("text", "has"), [("a: 1 # why\n", True), ("  # why\na: 1\n", True), ('a: "#1"\n', False), ("", False)])
def test_that_comments_are_not_kept_is_said_where_there_are_any(text: str, has: bool):
    """Only the document is stored."""
    assert editor(known(), shape.begun(a_policy())._replace(text=text), read({}))["has_comments"] is has


def test_two_who_edit_hear_of_each_other():
    """Who stored what, as soon as the page knows it; and nothing of the draft is lost."""
    draft = shape.begun(a_policy(RETRY, version=3))
    assert shape.conflict(known(RETRY, version=3), draft) is None
    newer = known(EXPECT, a_version(4, author=HOSTILE), version=4)
    assert shape.conflict(newer, draft) == f"Version 4 was stored by {HOSTILE} while you edited version 3."
    by_code = known(EXPECT, a_version(4, origin="code", author="run 1"), version=4)
    assert shape.conflict(by_code, draft) == "Version 4 was stored by the code while you edited version 3."


def test_what_it_would_have_changed_is_told_with_its_evidence():
    """Counted in words, with a run that tells it; what cannot be told is said to be unknown."""
    change = {"part": "gates[0]", "kind": "window", "answer": "skip", "count": 2, "runs": ["r1", "r2"], "reason": HOSTILE}
    saved = {"part": "retry", "kind": "retry", "answer": "saved", "count": 1, "runs": [], "reason": "gone"}
    found = shape.effects({"runs": 1077, "changes": [change, saved], "unknown": {"gates[1]": "a probe"}})
    assert [each["words"] for each in found["rows"]] == ["2 runs would have been skipped", "1 run would have been saved"]
    assert [(each["reason"], each["last"]) for each in found["rows"]] == [(HOSTILE, "/run?id=r2"), ("gone", None)]
    again = shape.effects({"runs": 1, "changes": [{**saved, "answer": "retry"}, saved], "unknown": {}})
    assert [each["reason"] for each in again["rows"]] == ["", "gone"]
    assert (found["runs"], found["unknown"]) == ("1,077 runs", [{"part": "gates[1]", "why": "a probe"}])


@pytest.mark.parametrize(
    ("now", "then", "title", "text"),
    [
        ("expect", "retry", "Raise the level to retry", "etl.nightly goes from expect to retry: what fails is tried again"),
        ("gate", "observe", "Lower the level to observe", "goes from gate to observe: its runs no longer ask before they begin."),
        ("orchestrate", "gate", "Lower the level to gate", "its functions no longer all ask"),
    ],
)
def test_another_level_is_asked_about_once(now: str, then: str, title: str, text: str):
    """With what it will do."""
    found = shape.question(shape.begun(a_policy()), now, then)
    assert found is not None
    assert found[0] == title
    assert text in found[1]


def test_the_same_level_is_not_asked_about():
    """A longer wait is no other level."""
    assert shape.question(shape.begun(a_policy()), "retry", "retry") is None


def test_versions_show_what_each_changed():
    """Against the one before by the same: code and people each change their own; only what differs from now can come back."""
    versions = [
        a_version(4, policy=RETRY, reason=HOSTILE),
        a_version(3, policy=EXPECT, origin="code", author="run 1"),
        a_version(2, policy=EXPECT),
        a_version(1, policy=RETRY),
    ]
    rows = shape.versions(known(RETRY, *versions), BERLIN, may=True)["rows"]
    assert [row["can_return"] for row in rows] == [False, False, True, False]
    assert [sign for sign, _ in rows[0]["difference"]] == ["-", "-", "+", "+"]
    assert rows[1]["difference"] == [("+", "expect:"), ("+", "  failures: 2")]
    assert [(row["who"], row["why"]) for row in rows[:2]] == [("ada", HOSTILE), ("code", "")]


def test_the_head_says_who_and_why():
    """The version in force, its author and reason; and what of it is hardly meant."""
    head = shape.head(known(RETRY, a_version(1, reason="nights"), level="retry", warnings=["w"]), BERLIN, None)
    assert (head["version"], head["level"]) == ("v1", "retry")
    assert head["facts"] == ["policy v1 by ada, 20 Nov 2026", "“nights”"]
    assert head["notes"] == ["w"]
    assert shape.head(known(), BERLIN, None)["version"] == "no policy yet"
