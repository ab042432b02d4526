"""How long the last runs of a workflow took, over what was usual by then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dashboard_items import BERLIN, NIGHT, NOW, a_run, iso, nights

from rota_dashboard.shape.durations import durations

DAY = timedelta(days=1)


def test_a_workflow_that_never_ran_has_none():
    """No bars, no days below them."""
    assert durations([], BERLIN, NOW) == {"bars": [], "first": "", "last": ""}


def drawn(*latest: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = durations(latest, BERLIN, NOW)["bars"]
    return found


def test_bars_stand_from_the_oldest_to_the_newest():
    """Each a link to its run, with words."""
    bars = drawn(*nights("failed", "succeeded"))
    assert [(bar["mark"], bar["href"], bar["seconds"]) for bar in bars] == [
        ("s", "/run?id=r1", 100.0),
        ("f", "/run?id=r0", 100.0),
    ]
    assert bars[1]["says"] == "Today 02:00: failed, 1m 40s"
    found = durations(nights("failed", "succeeded"), BERLIN, NOW)
    assert (found["first"], found["last"]) == ("Yesterday", "Today")


def test_a_band_is_what_was_usual_by_then():
    """Of the good runs before; a run does not make the band that it is held against, and too few make none."""
    bars = drawn(*nights(*["succeeded"] * 8))
    assert [(bar["low"], bar["high"]) for bar in bars] == [(None, None)] * 5 + [(100.0, 100.0)] * 3
    assert [bar["low"] for bar in drawn(*nights(*["failed"] * 8))] == [None] * 8


def test_what_is_far_outside_its_band_is_off():
    """Much longer or much shorter, when it succeeded; what failed early is not off but wrong."""
    usual = nights(*["succeeded"] * 9)[1:]
    slow, quick, broken = (a_run(took=took, state=state) for took, state in ((900, "succeeded"), (3, "succeeded"), (3, "failed")))
    assert [drawn(run, *usual)[-1]["off"] for run in (slow, quick, broken)] == [True, True, False]
    assert drawn(slow, *usual)[-1]["says"] == "Today 02:00: succeeded, 15m 00s (usual 1m 40s to 1m 40s)"
    assert not any(bar["off"] for bar in drawn(*usual))


def test_a_run_under_way_grows_and_is_off_once_it_takes_too_long():
    """One that has only begun is short, and that is no news."""
    usual = nights(*["succeeded"] * 9)[1:]
    ages = (timedelta(seconds=5), timedelta(seconds=100), timedelta(hours=1))
    begun, usually, stuck = (drawn(a_run(NOW - age, None), *usual)[-1] for age in ages)
    assert (begun["seconds"], begun["mark"], begun["off"]) == (5.0, "r", False)
    assert (usually["seconds"], usually["off"]) == (100.0, False)
    assert (stuck["seconds"], stuck["off"]) == (3600.0, True)
    assert drawn(a_run(NOW + timedelta(seconds=5), None))[-1]["seconds"] == 0.0  # its host's clock is ahead


def test_a_run_that_took_nobody_knows_how_long_has_no_height():
    """Its clock was set back; one that never began is not drawn."""
    assert drawn(a_run(ended_at=iso(NIGHT - DAY), duration_seconds=None))[0]["seconds"] is None
    assert drawn(a_run(None, None, state="queued")) == []
