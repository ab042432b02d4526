"""Where workflows stand, and the next step of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from dashboard_items import HOSTILE, NOW, a_standing, iso, workflow_columns

from rota.rules.level import LEVELS
from rota_dashboard.shape import spectrum

REASON = "retry 1×60 s would have saved 11 of 14 failures: their cause passed by itself"
RETRY = {"level": "retry", "kind": "retry", "saved": 11, "of": 14, "reason": REASON}
GATE = {"level": "gate", "kind": "concurrency", "saved": 3, "of": 14, "reason": "3 of 14 failures were of runs beside another"}


def page(*rows: dict[str, Any], said: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    advice = {"items": list(said), "next": None, "since_at": iso(NOW - timedelta(days=90)), "at": iso(NOW)}
    return spectrum.page(spectrum.Known(workflow_columns(*rows), advice, NOW), None)


@pytest.mark.parametrize(
    ("level", "items", "to", "text"),
    [
        ("observe", [RETRY, GATE], "retry", "Retry 1×60 s would have saved 11 of 14 failures."),
        ("expect", [GATE], "gate", "3 of 14 failures were of runs beside another."),
        ("retry", [RETRY, GATE], "gate", "3 of 14 failures were of runs beside another."),
        ("observe", [], "expect", "Say when it should run, and a run that stays away is told."),
        ("expect", [], "retry", "4 of 90 runs failed; nothing tells that it would have helped."),
        ("gate", [RETRY], "orchestrate", "Every function would ask before it runs."),
        ("orchestrate", [], None, "Nothing is above it."),
    ],
)
def test_the_next_step_is_the_one_that_history_speaks_for(level: str, items: list[Any], to: str | None, text: str):
    """That which saves most and is above; without any, the level above, and no promise."""
    step = spectrum.step(level, a_standing(items=items, failed=4))
    assert (step["to"], step["text"]) == (to, text)
    assert (step["saved"] > 0) == (text.find("of 14") >= 0)


def test_what_was_not_looked_at_is_not_said_to_be_well():
    """Where too many failed, the rest is unknown."""
    text = "It failed, and was not looked at: others failed more often."
    assert spectrum.step("expect", a_standing(failed=None))["text"] == text


def test_a_workflow_of_which_nothing_is_said_never_failed():
    """The list is of those that failed, or whose functions ask."""
    assert spectrum.step("expect", None)["text"] == "Nothing failed lately."


def test_the_stairs_count_who_stands_where():
    """Every level is there, also one on which nobody stands."""
    found = page({"name": "a", "level": "retry"}, {"name": "b", "level": "retry"}, {"name": "c", "level": "gate"})
    assert [(each["level"], each["count"]) for each in found["steps"]] == list(zip(LEVELS, (0, 0, 2, 1, 0), strict=True))
    assert found["facts"] == ["3 workflows", "nothing of the last 90 days asks for another step"]


def test_a_row_says_where_it_stands_and_leads_to_the_editor():
    """With the step already taken in it; a name is any text."""
    found = page({"name": HOSTILE, "outcomes": ["failed"]}, {"name": "b"}, said=(a_standing(HOSTILE, items=[RETRY]),))
    assert (found["names"][0], found["lasts"], found["levels"]) == (HOSTILE, ["f", ""], [0, 0])
    assert found["hrefs"][0].startswith("/policy?name=%3Cimg")
    assert found["hrefs"][0].endswith("&to=retry")
    assert found["hrefs"][1] == "/policy?name=b&to=expect"
    assert found["facts"][1] == "the next step would have saved 11 runs of 1 workflow in 90 days"


@pytest.mark.parametrize(("asking", "functions", "percent"), [(0, 3, 0), (2, 3, 67), (999, 1000, 99), (3, 3, 100)])
def test_coverage_is_whole_only_when_all_ask(asking: int, functions: int, percent: int):
    """Of the functions that really ran."""
    said = a_standing("a", coverage={"asking": asking, "functions": functions})
    (found,) = page({"name": "a"}, said=(said,))["coverage"]
    assert found["percent"] == percent
    assert found["words"] == f"{asking} of {functions:,} functions that ran lately ask"


def test_without_functions_there_is_no_coverage():
    """Nothing is said rather than 100 %."""
    assert page({"name": "a"}, said=(a_standing("a", coverage={"asking": 0, "functions": 0}),))["coverage"] == [None]
