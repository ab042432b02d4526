"""A proposed policy against the past: the same rules decide, and what the past does not tell is unknown."""

from __future__ import annotations

import pytest

from rota.rules.policy import validate
from rota_collector.domain.fleet import Fleet, Past
from rota_collector.domain.replay import replay

HOUR = 3600 * 10**9
MONDAY = 1_767_571_200 * 10**9


def past(**failures):
    """Two days of hourly runs of ``a`` that take 30 minutes; ``failures``: ``n5=KEY``."""
    return [Past(f"a-{n}", "a", MONDAY + n * HOUR, MONDAY + n * HOUR + HOUR // 2, failures.get(f"n{n}")) for n in range(48)]


def changes(runs, **policy):
    """(part, answer, runs) of each change."""
    return [(each.part, each.answer, each.runs) for each in replay("a", validate(policy), Fleet(runs)).changes]


def gate(**terms):
    return {"gates": [terms]}


def test_a_window_holds_or_skips_what_began_outside():
    """In its own zone."""
    runs = past()
    assert changes(runs, **gate(kind="window", only="00:00-12:00"))[0][:2] == ("gates[0]", "wait")
    assert changes(runs, **gate(kind="window", only="00:00-12:00"))[0][2] == tuple(f"a-{n}" for n in range(48) if n % 24 >= 12)
    berlin = changes(runs, **gate(kind="window", only="00:00-12:00", tz="Europe/Berlin"))
    assert berlin[0][2] == tuple(f"a-{n}" for n in range(48) if (n + 1) % 24 >= 12)
    assert changes(runs, **gate(kind="window", only="2020-01-01", otherwise="skip"))[0][:2] == ("gates[0]", "skip")


def test_a_limit_holds_what_began_beside_others():
    """Those that were open when a run began."""
    runs = [run._replace(ended_ns=run.ended_ns + HOUR) if run.run_id in ("a-3", "a-9") else run for run in past()]
    assert changes(runs, **gate(kind="concurrency", limit=1)) == [("gates[0]", "wait", ("a-4", "a-10"))]
    assert changes(runs, **gate(kind="concurrency", limit=2)) == []


def test_a_rate_holds_what_came_too_soon():
    """So many in a stretch of time."""
    assert changes(past(), **gate(kind="rate", limit=1, per="1h")) == []
    assert len(changes(past(), **gate(kind="rate", limit=1, per="90m"))[0][2]) == 47


def test_an_upstream_holds_what_came_before_it():
    """Its last run that had ended by then counts; before the first that is known, nobody knows."""
    upstream = [Past(f"u-{day}", "u", at, at + HOUR, "KeyError" if day == 1 else None)
                for day, at in ((0, MONDAY + 5 * HOUR), (1, MONDAY + 29 * HOUR))]  # fmt: skip
    runs, policy = [*past(), *upstream], gate(kind="upstream", workflow="u")
    assert changes(runs, **policy) == [("gates[0]", "wait", tuple(f"a-{n}" for n in range(31, 48)))]
    unknown = replay("a", validate(policy), Fleet(runs)).unknown
    assert unknown == {"gates[0]": "of 7 runs: what came before the first known facts"}


def test_a_breaker_keeps_what_would_fail_again():
    """Until its cool-down is over."""
    runs = past(**{f"n{n}": "KeyError: …" for n in range(10, 20)})
    (found,) = changes(runs, **gate(kind="breaker", failures=3, cool_down="2h"))
    assert found[1] == "deny"
    assert found[2][:2] == ("a-13", "a-14")


def test_a_retry_tells_what_was_tried_and_what_was_saved():
    """Only failures that it is for; what nothing tells is neither."""
    runs = past(n5="TimeoutError: …", n20="TimeoutError: …", n30="exit 2")
    found = changes(runs, retry={"attempts": 3, "wait": "20m", "on": ["TimeoutError"]})
    assert found == [("retry", "retry", ("a-5", "a-20")), ("retry", "saved", ("a-5", "a-20"))]
    assert changes(runs, retry={"attempts": 3, "wait": "20m", "on": ["exit:2"]})[0][2] == ("a-30",)


@pytest.mark.parametrize(
    ("policy", "part"),
    [
        (gate(kind="probe", file="/x"), "gates[0]"), (gate(kind="approval"), "gates[0]"),
        (gate(kind="host", disk_free="1GB"), "gates[0]"), ({"tasks": {"*": {"permit": True}}}, "tasks"),
    ],
)  # fmt: skip
def test_what_nobody_kept_is_unknown(policy, part):
    """It is said, and not guessed."""
    found = replay("a", validate(policy), Fleet(past()))
    assert (found.changes, list(found.unknown)) == ([], [part])
