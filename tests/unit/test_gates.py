"""Gates: what each kind says of which facts, and what they say together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.rules import gates
from rota.rules.fields import GATE_KEYS
from rota.rules.gates import DENY, GO, SKIP, WAIT
from rota.rules.policy import validate

NOW = 1_790_000_000 * 10**9
HOUR = 3600 * 10**9


def gate_of(**terms):
    """A gate as a valid policy has it."""
    return gates.of(validate({"gates": [terms]}))[0]


RUN = {"state": "succeeded", "ended_ns": NOW - HOUR, "slot_ns": 7}
TABLE: list[tuple[Any, ...]] = [  # (terms, facts, answer, in the reason, when to look again)
    ({"kind": "concurrency", "limit": 2}, {"used": 1}, GO, "1 of 2", None),
    ({"kind": "concurrency", "limit": 2}, {"used": 2, "frees_seconds": 9.0}, WAIT, "2 of 2 in use in the workflow", 9.0),
    ({"kind": "concurrency", "limit": 3, "weight": 2, "scope": "db"}, {"used": 2}, WAIT, "pool db", None),
    ({"kind": "concurrency", "limit": 3, "weight": 2, "scope": "db"}, {"used": 0, "limit": 1}, DENY, "than the limit 1", None),
    ({"kind": "rate", "limit": 2, "per": "1h"}, {"started_ns": [NOW - 2 * HOUR, NOW - HOUR]}, GO, "0 of 2", None),
    ({"kind": "rate", "limit": 1, "per": "1h"}, {"started_ns": [NOW - HOUR // 4]}, WAIT, "1 of 1", 2700.0),
    ({"kind": "upstream", "workflow": "a"}, {"runs": {"a": RUN}}, GO, "1 h", None),
    ({"kind": "upstream", "workflow": "a"}, {"runs": {}}, WAIT, "a has not ended once", 30.0),
    ({"kind": "upstream", "workflow": "a"}, {"runs": {"a": {**RUN, "state": "failed"}}}, WAIT, "a failed", 30.0),
    ({"kind": "upstream", "workflow": "a", "state": "any"}, {"runs": {"a": {**RUN, "state": "failed"}}}, GO, "", None),
    ({"kind": "upstream", "workflow": "a", "fresh_within": "30m"}, {"runs": {"a": RUN}}, WAIT, "1 h ago; it must", 30.0),
    ({"kind": "upstream", "all_of": ["a", "b"]}, {"runs": {"a": RUN, "b": None}}, WAIT, "b has not", 30.0),
    ({"kind": "upstream", "workflow": "a", "join": "slot"}, {"runs": {"a": RUN}, "slot_ns": 7}, GO, "", None),
    ({"kind": "upstream", "workflow": "a", "join": "slot"}, {"runs": {"a": RUN}, "slot_ns": 8}, WAIT, "same slot", 30.0),
    ({"kind": "window", "not": "Sat..Sun"}, {"local": "2026-11-27T10:00:00"}, GO, "", None),
    ({"kind": "window", "not": "Sat..Sun"}, {"local": "2026-11-28T23:00:00"}, WAIT, "2026-11-30 00:00", 25 * 3600.0),
    ({"kind": "window", "only": "2020-01-01", "otherwise": "skip"}, {"local": "2026-11-28T23:00:00"}, SKIP, "400 days", None),
    ({"kind": "breaker", "failures": 2}, {"failed_ns": [NOW - 1]}, GO, "1 of 2", None),
    ({"kind": "breaker", "failures": 2}, {"failed_ns": [NOW - HOUR // 2, 0], "trial": None}, DENY, "another 30 min", 1800.0),
    ({"kind": "breaker", "failures": 2, "otherwise": "skip"}, {"failed_ns": [NOW, NOW]}, SKIP, "open", 3600.0),
    ({"kind": "breaker", "failures": 2, "wait_at_most": "2h"}, {"failed_ns": [NOW, NOW]}, WAIT, "open", 3600.0),
    ({"kind": "breaker", "failures": 2, "within": "1h"}, {"failed_ns": [NOW, NOW - 2 * HOUR]}, GO, "1 of 2", None),
    ({"kind": "breaker", "failures": 1, "cool_down": "1h"}, {"failed_ns": [NOW - HOUR], "run_id": "r"}, GO, "tries", None),
    ({"kind": "breaker", "failures": 1}, {"failed_ns": [NOW - HOUR], "trial": "x", "run_id": "r"}, DENY, "run x tries", 30.0),
    ({"kind": "breaker", "failures": 1}, {"failed_ns": [NOW - HOUR], "trial": "r", "run_id": "r"}, GO, "", None),
    ({"kind": "approval"}, {"state": "asked", "asked_ns": NOW}, WAIT, "nobody", None),
    ({"kind": "approval", "within": "4h"}, {"state": "asked", "asked_ns": NOW - HOUR}, WAIT, "3 h left", 3 * 3600.0),
    ({"kind": "approval", "within": "1h"}, {"state": "asked", "asked_ns": NOW - HOUR}, DENY, "within 1 h", None),
    ({"kind": "approval"}, {"state": "approved", "by": "ada", "comment": "fine"}, GO, "by ada: fine", None),
    ({"kind": "approval"}, {"state": "refused", "by": "ada"}, DENY, "refused by ada", None),
    ({"kind": "probe", "http": "http://x"}, {"is_well": True, "said": "200"}, GO, "200", None),
    ({"kind": "probe", "http": "http://x"}, {"is_well": False, "said": "503"}, WAIT, "503", 30.0),
    ({"kind": "host", "disk_free": "1GB"}, {"disk_free_bytes": 10**9}, GO, "", None),
    ({"kind": "host", "disk_free": "1GiB"}, {"disk_free_bytes": 10**9}, WAIT, "disk_free is 1000 MB; it must be 1GiB", 30.0),
    ({"kind": "host", "memory_free": "1MB", "load_below": 0.5}, {"memory_free_bytes": 10**7, "load": 0.5}, WAIT, "load", 30.0),
    ({"kind": "python", "call": "m:f"}, {"returned": True}, GO, "m:f says yes", None),
    ({"kind": "python", "call": "m:f"}, {"returned": "not on Fridays"}, WAIT, "not on Fridays", 30.0),
    ({"kind": "python", "call": "m:f"}, {"returned": 1}, WAIT, "no", 30.0),
]  # fmt: skip


@pytest.mark.parametrize(("terms", "facts", "answer", "reason", "again"), TABLE, ids=lambda value: str(value)[:40])
def test_a_gate_says_what_its_facts_say(terms, facts, answer, reason, again):
    """The answer, why in words, and when it may be another."""
    found = gates.decide(gate_of(**terms), facts, NOW)
    assert (found.answer, found.look_again_seconds) == (answer, again)
    assert reason in found.reason
    assert found.facts == facts


def test_every_kind_of_gate_has_its_rows_above():
    """None is forgotten."""
    assert {terms["kind"] for terms, *_ in TABLE} == set(GATE_KEYS)


@pytest.mark.parametrize(("otherwise", "says"), [(None, DENY), ("skip", SKIP), ("deny", DENY)])
def test_who_waited_as_long_as_it_may_is_told_so(otherwise, says):
    """Before that it is looked at again when the time is over, at the latest."""
    gate = gate_of(kind="concurrency", limit=1, wait_at_most="10m", otherwise=otherwise)
    assert gates.decide(gate, {"used": 1}, NOW, 60.0)[2:] == (WAIT, "1 of 1 in use in the workflow", {"used": 1}, 540.0)
    late = gates.decide(gate, {"used": 1}, NOW, 600.0)
    assert (late.answer, late.look_again_seconds) == (says, None)
    assert late.reason.startswith("waited 10 min, as long as it may: 1 of 1")
    assert gates.decide(gate, {"used": 0}, NOW, 600.0).answer == GO


@pytest.mark.parametrize(
    ("given", "waited", "says"),
    [
        (None, 0, GO), ("go", 0, GO), ("skip", 0, SKIP), ("deny", 0, DENY), ("wait(30m)", 0, WAIT), ("wait(30m)", 1799, WAIT),
        ("wait(30m)", 1800, DENY),
    ],
)  # fmt: skip
def test_a_gate_says_itself_what_holds_when_nobody_answers(given, waited, says):
    """Without a word about it a run goes: a server that is away must not stop what it was asked to watch over."""
    gate = gate_of(kind="concurrency", limit=1, on_unreachable=given)
    found = gates.unreachable(gate, waited, "refused")
    assert found.answer == says
    assert "refused" in found.reason


def test_a_paused_workflow_is_skipped():
    """With the words of who paused it."""
    assert gates.paused({"is_paused": True, "reason": "moving house"}).answer == SKIP
    assert "moving house" in gates.paused({"is_paused": True, "reason": "moving house"}).reason
    assert gates.paused({"is_paused": False}).answer == GO


ANSWERS = st.builds(
    gates.Answer, st.integers(0, 5), st.just("probe"), st.sampled_from([GO, WAIT, SKIP, DENY]), st.just("why"), st.just({}),
    st.none() | st.floats(0, 100),
)  # fmt: skip


@given(st.lists(ANSWERS, max_size=5))
def test_all_gates_must_say_go(answers):
    """The strictest answer is that of all; what waits is looked at when the first of it may change."""
    found = gates.together(answers)
    assert found.answer == max([GO, *(each.answer for each in answers)], key=lambda answer: gates.STRICTNESS[answer])
    again = [each.look_again_seconds for each in answers if each.answer == WAIT and each.look_again_seconds is not None]
    assert found.look_again_seconds == (min(again) if again and found.answer == WAIT else None)


def test_grants_are_counted_where_the_gate_says():
    """The workflow's, its own on each host, or those of a pool that others name too."""
    scopes = [
        gates.scope_of(gate_of(kind="concurrency", limit=1, scope=given), "etl", "h1") for given in (None, "instance", "db")
    ]
    assert scopes == ["workflow etl", "instance etl@h1", "pool db"]
