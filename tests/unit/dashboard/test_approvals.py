"""Approvals as rows: who asks, until when, who may answer, what was said."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE, NOW, a_version, an_approval, iso

from rota_dashboard.shape import approvals

ASKS = {"gates": [{"kind": "approval"}]}


def page(*items: dict[str, Any], chosen: str = "waiting", policies: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    known = approvals.Known({"items": list(items), "next": None, **more}, policies or {}, NOW)
    return approvals.page(known, chosen, "", "operate", BERLIN, None)


@pytest.mark.parametrize(
    ("scope", "role", "state", "may"),
    [
        ("operate", "operate", "asked", True),
        ("admin", "operate", "asked", True),
        ("operate", "admin", "asked", False),
        ("read", "operate", "asked", False),
        ("", "operate", "asked", False),
        ("admin", "admin", "approve", False),
        ("admin", "operate", "expired", False),
    ],
)
def test_an_answer_is_offered_to_whoever_may_give_it(scope: str, role: str, state: str, may: bool):
    """While it waits, to the scope that its gate names and those above."""
    (row,) = approvals.rows([an_approval(role=role, state=state)], scope, BERLIN, NOW)
    assert row["may"] is may


def test_one_that_waits_says_since_and_until_when():
    """As times that pass in the browser; one without an end has none."""
    first, second = approvals.rows([an_approval(), an_approval(expires_at=None)], "read", BERLIN, NOW)
    now = NOW.timestamp() * 1000
    assert (first["since"], first["until"], second["until"]) == (now - 1_800_000, now + 1_800_000, None)
    assert (first["asked"], first["said"]) == ("Today 09:32", None)


@pytest.mark.parametrize(
    ("state", "by", "said"),
    [
        ("approve", "ada", "approved by ada, today 10:02"),
        ("refuse", HOSTILE, f"refused by {HOSTILE}, today 10:02"),
        ("expired", None, "nobody answered in time, today 10:32"),
    ],
)
def test_one_that_is_over_says_what_was_said(state: str, by: str | None, said: str):
    """By whom and when; nobody's silence is an answer."""
    answered = None if state == "expired" else iso(NOW)
    (row,) = approvals.rows([an_approval(state=state, by=by, answered_at=answered, comment=HOSTILE)], "admin", BERLIN, NOW)
    assert (row["said"], row["comment"], row["since"]) == (said, HOSTILE, None)


def test_the_title_counts_those_that_wait():
    """In words, also where there are more than a page shows."""
    assert page()["title"] == "Nothing waits for a person."
    assert page(an_approval())["title"] == "1 approval waits for a person"
    assert page(an_approval(), an_approval("a2"), next="more")["title"] == "more than 2 approvals wait for a person"


def test_answered_ones_stand_apart():
    """Those that still wait are not among them."""
    found = page(an_approval(), an_approval("a2", state="approve", answered_at=iso(NOW)), chosen="answered")
    assert [row["id"] for row in found["rows"]] == ["a2"]
    assert [each["on"] for each in found["filters"]] == [False, True]


def test_it_says_who_wanted_that_somebody_is_asked():
    """The version that brought the gate, not the last one that left it as it was; code tells no reason."""
    versions = [
        a_version(4, policy={**ASKS, "retry": {}}, author="bob", reason="retries"),
        a_version(3, policy=ASKS, author="ada", reason="finance signs off"),
        a_version(2, policy={}, author="bob"),
        a_version(1, policy=ASKS, origin="code"),
    ]
    (row,) = page(an_approval(), policies={"billing.invoices": versions})["rows"]
    assert row["why"] == "by the policy of ada: “finance signs off”"
    assert page(an_approval())["rows"][0]["why"] is None
