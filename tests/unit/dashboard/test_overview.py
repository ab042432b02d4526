"""The front page: what needs someone, and every workflow in a row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from dashboard_items import BERLIN, HOSTILE, NIGHT, NOW, an_approval, an_incident, iso, ns, workflow_columns

from rota_dashboard.shape import overview
from rota_dashboard.shape.overview import Known, head, rows

S = 10**9
MINUTE = timedelta(minutes=1)


def known(*workflows: dict[str, Any], incidents: list[Any] | None = None, activity: list[Any] | None = None) -> Known:
    return Known(workflow_columns(*workflows), incidents or [], activity or [], NOW)


def shown(*workflows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return head(known(*workflows, **more), BERLIN, None)


def listed(*workflows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return rows(known(*workflows, **more), None)


@pytest.mark.parametrize(
    ("workflows", "hosts", "outages", "title"),
    [
        (0, 0, 0, "Nothing needs you."),
        (1, 0, 0, "1 workflow needs someone"),
        (1200, 0, 0, "1,200 workflows need someone"),
        (0, 1, 0, "1 host needs someone"),
        (2, 1, 1, "2 workflows, 1 host and 1 outage need someone"),
    ],
)
def test_the_title_says_whether_somebody_is_needed(workflows, hosts, outages, title):
    """The page is a sentence first."""
    needing = [an_incident(workflow=f"w{i}") for i in range(workflows)]
    needing += [an_incident(workflow=None, host=f"h{i}", kind="host_silent") for i in range(hosts)]
    needing += [an_incident(workflow=None, kind="downtime") for _ in range(outages)]
    assert overview.title(needing) == title


def test_a_system_that_nobody_looks_at_is_no_host():
    """It is named by what it is."""
    needing = [an_incident(workflow=None, host="prefect", kind="observer_silent"), an_incident(workflow="a")]
    assert overview.title(needing) == "1 workflow and 1 system need someone"


def test_two_that_explain_each_other_need_someone():
    """Of a ring, one stands for all: nothing is wrong only when nothing is."""
    ring = [an_incident("1", workflow="a", suppressed_by="2"), an_incident("2", workflow="b", suppressed_by="1")]
    found = shown(incidents=ring)
    assert found["title"] == "1 workflow needs someone"
    assert [each["name"] for each in found["incidents"]] == ["a"]


def test_who_needs_someone_are_those_that_nobody_has_taken():
    """Two incidents of one workflow are one workflow; what is acknowledged, snoozed or explained by another needs nobody."""
    incidents = [
        an_incident("1", workflow="a"), an_incident("2", workflow="a", kind="too_long"), an_incident("3", workflow="b"),
        an_incident("4", workflow="c", state="acknowledged", acked_by="ada"), an_incident("5", workflow="d", suppressed_by="1"),
        an_incident("6", workflow="e", state="snoozed", snoozed_until=iso(NOW + 60 * MINUTE)),
    ]  # fmt: skip
    found = shown(*({"name": name} for name in "abcdef"), incidents=incidents)
    assert found["title"] == "2 workflows need someone"
    assert found["facts"] == ["1 of 6 as expected", "0 running now"]


def test_what_runs_now_is_counted():
    """Starting and being cancelled is running; waiting is not."""
    states = ("running", "starting", "cancelling", "queued", "succeeded", None)
    found = shown(*({"name": str(i), "state": state} for i, state in enumerate(states)))
    assert found["facts"] == ["6 of 6 as expected", "3 running now"]


def test_who_is_due_next_is_the_first_ahead():
    """What was due already is late and not next; without a schedule anywhere nothing is next."""
    ahead = {"late": -1, "soon": 12, "later": 3600}
    found = shown(*({"name": name, "next_due_ns": ns(NOW) + after * S} for name, after in ahead.items()), {"name": "never"})
    assert found["next"] == {"name": "soon", "at": (ns(NOW) + 12 * S) // 10**6, "href": "/workflow?name=soon"}
    assert shown({"name": "never"})["next"] is None
    assert shown({"name": "now", "next_due_ns": ns(NOW)})["next"]["name"] == "now"


def test_activity_is_what_succeeded_what_went_wrong_and_the_rest():
    """A number each for every stretch of the day; a late success is one."""
    stretches = [{"runs": {"succeeded": 5, "failed": 1, "timed_out": 1, "crashed": 1, "upstream_failed": 1}}, {"runs": {}},
                 {"runs": {"running": 2, "cancelled": 1, "succeeded": 1}}]  # fmt: skip
    assert shown(activity=stretches)["activity"] == {"good": [5, 0, 1], "bad": [4, 0, 0], "other": [0, 0, 3]}


def test_an_incident_that_another_explains_is_not_shown_but_counted_with_it():
    """What is downstream of it, and downstream of that; the workflows of a host or of a downtime."""
    incidents = [
        an_incident("up", workflow="ingest"), an_incident("1", workflow="report", suppressed_by="up"),
        an_incident("2", workflow="mail", suppressed_by="1"),
        an_incident("host", workflow=None, host="etl-2", kind="host_silent"),
        *(an_incident(f"m{i}", workflow=f"w{i}", kind="missed", group_id="host") for i in range(3)),
    ]  # fmt: skip
    found = shown(incidents=incidents)
    assert [(each["name"], each["reach"]) for each in found["incidents"]] == [
        ("ingest", "2 downstream held"),
        ("etl-2", "3 workflows"),
    ]
    assert overview.incident_row(an_incident(), [], BERLIN, NOW)["reach"] is None


def test_the_newest_that_nobody_has_taken_come_first_and_not_all():
    """Taken ones are dim, below the others, with who took them or until when they sleep; the rest are behind a link."""
    free = [an_incident(str(i), workflow=f"w{i}", opened_at=iso(NOW - i * MINUTE)) for i in range(1, 9)]
    taken = [
        an_incident("a", state="acknowledged", acked_by="ada", opened_at=iso(NOW)),
        an_incident("s", state="snoozed", snoozed_until=iso(NOW + 180 * MINUTE), opened_at=iso(NOW)),
    ]
    found = shown(incidents=[*taken, *free])
    assert [each["name"] for each in found["incidents"]] == [f"w{i}" for i in range(1, 9)]
    assert found["more"] == "all 10 of them"
    assert shown(incidents=free)["more"] is None
    few = shown(incidents=[*taken, free[0]])
    assert [(each["note"], each["dim"]) for each in few["incidents"]] == [
        (None, False), ("acknowledged by ada", True), ("snoozed until today 13:02", True)
    ]  # fmt: skip
    assert few["more"] is None


def test_an_incident_is_a_shape_a_name_a_cause_and_since_when():
    """And a link to it."""
    [found] = shown(incidents=[an_incident(kind="missed", summary="no run started", due_at=iso(NIGHT))])["incidents"]
    assert found == {
        "mark": "m", "name": "etl.nightly", "href": "/incident?id=i1", "cause": "Missed its 02:00 slot: no run started",
        "reach": None, "since": round((NOW - 30 * MINUTE).timestamp() * 1000), "note": None, "dim": False,
    }  # fmt: skip


def test_workflows_are_columns():
    """Times in ms, lengths in seconds, outcomes as letters, levels as numbers; what is not known is null."""
    ran = {
        "name": "etl", "outcomes": ["failed", "late", "missed", "unknown", "succeeded"], "level": "gate", "tags": ["eu"],
        "started_ns": ns(NIGHT), "ended_ns": ns(NIGHT) + 466 * S, "usual_low_ns": 400 * S, "usual_high_ns": 500 * S,
        "next_due_ns": ns(NOW), "state": "succeeded", "paused": True,
    }  # fmt: skip
    assert listed(ran, {"name": "never"}) == {
        "names": ["etl", "never"], "tags": [["eu"], []], "levels": [3, 0], "strips": ["flm?s", ""], "ranks": [5, 5],
        "started": [ns(NIGHT) / 1e6, None], "took": [466.0, None], "usual": [(400.0, 500.0), None], "off": [0, 0],
        "due": [ns(NOW) / 1e6, None], "paused": [True, False], "away": None,
    }  # fmt: skip


def test_a_clock_that_was_set_back_makes_no_duration():
    """A run that ended before it began took nobody knows how long."""
    assert listed({"started_ns": ns(NOW), "ended_ns": ns(NIGHT)})["took"] == [None]


@pytest.mark.parametrize(
    ("outcome", "incidents", "rank"),
    [
        ("succeeded", [an_incident()], 0),
        ("succeeded", [an_incident(state="acknowledged", acked_by="ada")], 1),
        ("succeeded", [an_incident(suppressed_by="2"), an_incident("2", workflow="other")], 1),
        ("succeeded", [an_incident(state="acknowledged", acked_by="ada"), an_incident("2")], 0),
        *((outcome, [], 2) for outcome in ("failed", "missed", "timed_out", "crashed", "upstream_failed")),
        ("late", [], 3), ("running", [], 4), ("succeeded", [], 5), ("unknown", [], 5), ("cancelled", [], 5), (None, [], 5),
    ],
)  # fmt: skip
def test_attention_goes_to_what_nobody_has_taken_first(outcome, incidents, rank):
    """Then to what somebody has, what went wrong without anybody having to know, what was late, what runs, and the rest."""
    found = listed({"outcomes": [outcome] if outcome else []}, incidents=incidents)
    assert found["ranks"] == [rank]


@pytest.mark.parametrize(
    ("outcome", "seconds", "off"),
    [
        ("succeeded", 100, 0), ("succeeded", 130, 0), ("succeeded", 400, 1), ("succeeded", 20, -1), ("late", 20, -1),
        ("failed", 20, 0), ("failed", 400, 1), ("crashed", 1, 0),
    ],
)  # fmt: skip
def test_a_run_is_outside_its_band_when_it_took_much_longer_or_shorter(outcome, seconds, off):
    """What failed early tells nothing of how long it takes."""
    run = {"outcomes": [outcome], "started_ns": 0, "ended_ns": seconds * S, "usual_low_ns": 90 * S, "usual_high_ns": 110 * S}
    assert listed(run)["off"] == [off]


def test_a_run_under_way_is_outside_once_it_takes_too_long():
    """What has only begun is not short."""
    run = {"outcomes": ["running"], "usual_low_ns": 90 * S, "usual_high_ns": 110 * S}
    began = {name: ns(NOW) - seconds * S for name, seconds in {"new": 1, "old": 1000}.items()}
    assert listed(*({**run, "name": name, "started_ns": at} for name, at in began.items()))["off"] == [0, 1]


def test_hostile_names_are_data():
    """They are passed on as they are, for parts that set text; in links they are quoted."""
    found = listed({"name": HOSTILE, "tags": [HOSTILE]})
    assert (found["names"], found["tags"]) == ([HOSTILE], [[HOSTILE]])
    [row] = shown(incidents=[an_incident(workflow=HOSTILE, error=HOSTILE)])["incidents"]
    assert (row["name"], row["cause"]) == (HOSTILE, f"Failed: {HOSTILE}")


def test_old_data_says_so():
    """When the collector is away, head and list carry the sentence."""
    said = "The collector does not answer."
    assert head(known(), BERLIN, said)["away"] == rows(known(), said)["away"] == said
    assert head(known(), BERLIN, said)["now"] == NOW.timestamp() * 1000


def test_a_collector_without_workflows_has_empty_columns():
    """Nothing breaks where nothing is, also in columns that came in no pieces at all."""
    nothing = workflow_columns().schema.empty_table()
    assert isinstance(nothing, pa.Table)
    assert rows(Known(nothing, [], [], NOW), None)["names"] == []
    assert head(Known(nothing, [], [], NOW), BERLIN, None)["facts"] == ["0 of 0 as expected", "0 running now"]


@pytest.mark.parametrize(
    ("count", "more", "said"), [(0, None, None), (1, None, "1 waits for approval"), (3, None, "3 wait for approval"),
                               (100, "more", "100+ wait for approval")],
)  # fmt: skip
def test_those_that_wait_for_a_person_are_counted(count, more, said):
    """With the way to them; nothing is said when nobody does."""
    page = {"items": [an_approval(str(n)) for n in range(count)], "next": more}
    known = Known(workflow_columns(), [], [], NOW, page)
    assert head(known, BERLIN, None)["approvals"] == said
    assert head(known._replace(approvals=None), BERLIN, None)["approvals"] is None
