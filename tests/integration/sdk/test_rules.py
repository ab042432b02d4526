"""Rules on the run in flight, as a script meets them: who asks, and what is told with the question."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

from permissions import DENY, GO, agent_socket, decisions, results, write_policy
from scripts import Outcome

Run = Callable[..., Outcome]

SCRIPT = """
    import rota
    rota.watch()
    def extract(rows):
        rota.record(rows=rows)
    def broken():
        raise ValueError("row 7")
    def load_orders():
        print("loaded")
    def report():
        print("reported")
    extract(3)
    extract(0)
    try:
        broken()
    except ValueError:
        pass
    report()
    try:
        load_orders()
    except rota.GateDenied as denied:
        print(denied.reason)
"""
RULES = [
    {"when": "task('extract').rows == 0", "do": "deny('load_*')"},
    {"when": "task('broken').failures > 0", "do": "alert()"},
]


def by_rows(question: dict[str, Any]) -> dict[str, Any]:
    """As an agent answers by the first rule."""
    return DENY if question["facts"]["tasks"]["extract"]["rows"] == 0 else GO


def test_a_task_that_a_rule_may_deny_asks_with_what_others_told(run: Run, home: Path) -> None:
    """Functions that nobody touched and that the rules name are tasks; only those that may be denied ask, and facts go along."""
    write_policy(home, "job", {}, rules=RULES)
    with agent_socket(by_rows) as agent:
        outcome = run(SCRIPT, environment={"ROTA_AGENT": agent.address})
    assert outcome.stdout.decode() == "reported\nno rows\n", outcome.stderr.decode()
    assert agent.tasks == ["load_orders"]
    told = agent.questions[0]["facts"]["tasks"]
    assert list(told) == ["extract", "broken"]  # in the order of their ends
    assert {name: told["extract"][name] for name in ("rows", "state", "calls", "failures")} == {
        "rows": 0, "state": "succeeded", "calls": 2, "failures": 0,
    }  # fmt: skip
    assert (told["broken"]["state"], told["broken"]["failures"]) == ("failed", 1)
    assert results(outcome)["load_orders"] == "skip"
    assert decisions(outcome) == [("load_orders", "deny", "agent")]


def test_a_run_under_rules_alone_asks_nothing_before_it_begins(run: Run, home: Path) -> None:
    """There is no fact yet that a rule could go by."""
    write_policy(home, "job", {}, rules=RULES)
    with agent_socket() as agent:
        assert run("import rota\nrota.watch()\nprint('body')", environment={"ROTA_AGENT": agent.address}).stdout == b"body\n"
    assert agent.questions == []


def test_a_rule_that_is_not_understood_takes_nothing_from_the_others(run: Run, home: Path) -> None:
    """In a document of a later version."""
    write_policy(home, "job", {}, rules=[{"when": "whatever", "do": "something else"}, {"now": 1}, *RULES])
    with agent_socket(by_rows) as agent:
        outcome = run(SCRIPT, environment={"ROTA_AGENT": agent.address})
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, b"reported\nno rows\n", b"")
