"""What a policy's ``tasks`` say of one task."""

from __future__ import annotations

import pytest

from rota.rules.tasks import Terms, entry_of, unreachable


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("load_orders", 1),
        ("load_", 1),
        ("Loader.run", 2),
        ("orders.load_all", 3),
        ("reload_orders", 4),
        ("Loader.load_orders", 4),
    ],
)
def test_the_first_pattern_that_matches_the_whole_name_holds(name, found):
    """Patterns are those of the shell, on the whole name, in the order of the document; a star also stands for dots."""
    tasks = {"load_*": {"at": 1}, "Loader.run": {"at": 2}, "orders.*": {"at": 3}, "*": {"at": 4}}
    assert entry_of(tasks, name) == {"at": found}


def test_a_task_that_no_pattern_matches_is_asked_nothing():
    """There is no entry then; an entry that is no mapping asks nothing either."""
    assert entry_of({"load_*": {}}, "extract") is None
    assert entry_of({"load_*": True}, "load_x") == {}


def test_terms_are_read_from_an_entry():
    """Only ``permit: true`` asks. What a denied call returns is declared by being there, be it null."""
    assert Terms.of({})[:4] == (False, True, None, None)
    assert Terms.of({"permit": "yes"}).permit is False
    assert Terms.of({"permit": True, "denied_value": None, "skipped_value": 7})[:4] == (True, False, None, 7)


@pytest.mark.parametrize(
    ("chosen", "waited", "answer"),
    [
        (None, 0, "go"),
        ("go", 0, "go"),
        ("skip", 0, "skip"),
        ("deny", 9, "deny"),
        ("wait(90s)", 89, "wait"),
        ("wait(90s)", 90, "deny"),
    ],
)
def test_when_nobody_answers_the_entry_has_said_what_then(chosen, waited, answer):
    """One of go, skip, deny, or to wait, and then deny; go when left out. The answer says that it is blind, and why."""
    found = unreachable(Terms.of({"on_unreachable": chosen} if chosen else {}), waited, "refused")
    assert (found["answer"], found["by"]) == (answer, "sdk")
    assert "refused" in found["reason"]


@pytest.mark.parametrize("chosen", ["wait", "wait(soon)", "stop", 3, ["go"], {}])
def test_an_on_unreachable_that_is_not_understood_lets_pass(chosen):
    """A typing error must not stop a job."""
    assert unreachable(Terms.of({"on_unreachable": chosen}), 0, "refused")["answer"] == "go"
