"""The oracle of the campaigns can fail: each kind of broken promise is seen."""

from __future__ import annotations

import pytest
from chaos.oracle import Oracle, Outcome


@pytest.fixture
def oracle():
    made = Oracle(1)
    made.next()  # a trace by protobuf
    yield made
    made.close()


@pytest.mark.parametrize(
    ("outcome", "change", "said"),
    [
        (Outcome.ACKNOWLEDGED, lambda _: [], "lost"),
        (Outcome.ACKNOWLEDGED, lambda row: [row, row], "2 times"),
        (Outcome.UNANSWERED, lambda row: [row, row], "2 times"),
        (Outcome.REFUSED, lambda row: [("another", *row[1:])], "changed"),
    ],
)
def test_a_broken_promise_is_a_problem(oracle, outcome, change, said):
    """What is lost, doubled or changed is said, for each record of the request."""
    (one,) = oracle.sent
    oracle.outcomes[one.number] = outcome
    oracle.compare("spans", {key: change(row) for key, row in one.rows["spans"].items()})
    assert len(oracle.problems) == len(one.rows["spans"])
    assert all(problem.startswith(said) for problem in oracle.problems)


def test_what_nobody_sent_is_a_problem(oracle):
    """A row that is no shipment's."""
    oracle.compare("logs", {"000009.1": [("text", 1, {})]})
    assert oracle.problems == ["never sent: logs 000009.1"]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNANSWERED])
def test_what_was_not_acknowledged_may_be_missing_or_there(oracle, outcome):
    """It is no problem as long as it is as it was sent."""
    (one,) = oracle.sent
    oracle.outcomes[one.number] = outcome
    oracle.compare("spans", {})
    oracle.compare("spans", {key: [row] for key, row in one.rows["spans"].items()})
    assert oracle.problems == []
