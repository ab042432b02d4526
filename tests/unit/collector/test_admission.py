"""Who of those who wait is next, as a table."""

from __future__ import annotations

import pytest

from rota_collector.domain.admission import PASSED_NS, Claim, admitted

NOW = 10**15
LONG = NOW - PASSED_NS  # so long ago that nobody may pass any more


def claims(*texts: str) -> tuple[list[Claim], dict[str, dict[str, int]]]:
    """``name priority asked stuck scope=weight …`` each; stuck is -, now or long."""
    made, weights = [], {}
    for text in texts:
        name, priority, asked, stuck, *needs = text.split()
        pairs = [need.split("=") for need in needs]
        weights[name] = {scope: int(weight) for scope, weight in pairs}
        stuck_ns = {"-": None, "now": NOW - 1, "long": LONG}[stuck]
        made.append(Claim(name, tuple(weights[name]), int(priority), int(asked), stuck_ns))
    return sorted(made, key=lambda claim: claim.place), weights


@pytest.mark.parametrize(
    ("free", "waiting", "go"),
    [
        ({"s": 1}, ["b 0 2 - s=1", "a 0 1 - s=1"], "a"),  # who asked first
        ({"s": 1}, ["a 0 1 - s=1", "b 5 2 - s=1"], "b"),  # a higher priority before that
        ({"s": 2}, ["a 0 1 - s=1", "b 0 2 - s=1", "c 0 3 - s=1"], "a b"),  # as many as there is room for
        ({"s": 0}, ["a 0 1 - s=1"], ""),
        ({"s": 2}, ["large 0 1 now s=3", "small 0 2 - s=1"], "small"),  # passes one that does not fit
        ({"s": 2}, ["large 0 1 - s=3", "small 0 2 - s=1"], "small"),  # also when that is seen for the first time
        ({"s": 2}, ["large 0 1 long s=3", "small 0 2 - s=1"], ""),  # not for longer than a minute
        ({"s": 2}, ["large 5 1 now s=3", "small 0 2 - s=1"], ""),  # never one of a higher priority
        ({"s": 2}, ["large 0 1 long s=3", "urgent 5 2 - s=1"], "urgent"),  # a higher priority comes first, whoever waits
        ({"s": 3}, ["large 0 1 long s=3", "small 0 2 - s=1"], "large"),  # its turn
        ({"s": 0, "t": 1}, ["a 5 1 long s=1 t=1", "b 0 2 - t=1"], "b"),  # what it has room in anyway is nobody's meanwhile
        ({"s": 1, "t": 0}, ["a 0 1 long s=1 t=1", "b 0 2 - s=1 t=1", "c 0 3 - s=1"], "c"),  # all of it, or nothing
        ({"s": 1}, ["a 0 7 - s=1", "b 0 7 - s=1"], "a"),  # asked at once: one order for all
    ],
)
def test_who_is_next(free, waiting, go):
    """The order is (priority, then who asked first); who does not fit is passed within its priority, for a minute."""
    line, weights = claims(*waiting)
    left = dict(free)
    gone = []
    for claim in admitted(line, lambda one: [s for s, weight in weights[one.ticket].items() if left[s] < weight], NOW):
        gone.append(claim.ticket)
        for scope, weight in weights[claim.ticket].items():
            left[scope] -= weight
    assert gone == go.split()
