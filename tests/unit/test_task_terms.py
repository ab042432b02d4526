"""What a policy's ``tasks`` say of one task."""

from __future__ import annotations

import pytest

from rota.rules.tasks import Terms, entry_of, unreachable_of


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
    assert Terms.of({}) == Terms(permit=False, unreachable="go", raises=True)
    assert Terms.of({"permit": "yes"}).permit is False
    full = Terms.of({"permit": True, "on_unreachable": "wait(30m)", "denied_value": None, "skipped_value": 7})
    assert full == Terms(True, "wait", 1800.0, False, None, 7)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("go", ("go", 0)), ("Skip", ("skip", 0)), ("deny", ("deny", 0)), ("wait(90s)", ("wait", 90)), (None, ("go", 0))],
)
def test_on_unreachable_is_read(text, meant):
    """One of go, skip, deny, or a wait with its length; go when left out."""
    assert unreachable_of(text) == meant


@pytest.mark.parametrize("text", ["wait", "wait(soon)", "stop", 3, ""])
def test_an_on_unreachable_that_is_not_understood_lets_pass(text):
    """A typing error must not stop a job."""
    assert unreachable_of(text) == ("go", 0)
