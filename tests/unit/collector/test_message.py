"""What people are told: messages that somebody can act on, in which nothing that users wrote does anything."""

from __future__ import annotations

import json

import pytest

from rota_collector.domain.expect import KINDS
from rota_collector.domain.message import ERROR_LINES, TEXT_BYTES, TITLE_CHARS, Notice, compose, cut_bytes, tail

SECOND = 10**9
MINUTE, DAY = 60 * SECOND, 86_400 * SECOND
T0 = 1_790_000_000 * SECOND  # 2026-09-21T14:13:20Z
DASHBOARD = "http://127.0.0.1:8501"
RUN = "01990000-0000-7000-8000-000000000001"

MISSED = Notice(
    "incident-1", "opened", "missed", "etl.nightly", "web-1", T0, T0 - 20 * MINUTE, "no run started within 15 min of its time",
    None, T0 - DAY, None, T0 - 35 * MINUTE, "Europe/Berlin",
)  # fmt: skip
FAILED = MISSED._replace(
    kind="failed", run_id=RUN, error="Traceback\n  File …\nValueError: no", summary="the run failed", due_ns=None
)


def one(notice, channels=("ops",)):
    (message,) = compose([notice], channels, DASHBOARD)
    return message


def test_a_message_says_what_since_when_and_where_to_look():
    """What happened, when in the schedule's zone and how long ago, the last good run, the error, the address, the alert's id."""
    message = one(FAILED)
    assert message.title == "etl.nightly on web-1 failed"
    assert message.text == (
        "etl.nightly on web-1 failed: the run failed\n"
        "since: 2026-09-21 15:53:20 Europe/Berlin (20 min before this alert)\n"
        "last good run: 2026-09-20 16:13:20 Europe/Berlin (1 d before this alert)\n"
        "error:\n    Traceback\n      File …\n    ValueError: no\n"
        f"look at: http://127.0.0.1:8501/run?id={RUN}\n"
        f"alert {message.id}"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_trouble_has_words(kind):
    """Whatever a review may find, people can be told."""
    assert one(FAILED._replace(kind=kind)).title.startswith("etl.nightly on web-1 ")


def test_a_missed_slot_leads_to_its_workflow():
    """There is no run to look at; the time at which it was due is said when it is another one than that of the trouble."""
    text = one(MISSED).text
    assert "it was due: 2026-09-21 15:38:20 Europe/Berlin (35 min before this alert)" in text
    assert "look at: http://127.0.0.1:8501/?workflow=etl.nightly" in text


@pytest.mark.parametrize(
    ("transition", "title"),
    [
        ("opened", "etl.nightly on web-1 missed its time"),
        ("reminder", "Still: etl.nightly on web-1 missed its time"),
        ("escalated", "Escalated: etl.nightly on web-1 missed its time"),
        ("closed", "Over: etl.nightly on web-1 missed its time"),
        ("retracted", "Taken back: etl.nightly on web-1 missed its time"),
    ],
)
def test_the_title_says_which_transition_it_is(transition, title):
    """Who reads only titles knows whether something began, lasts, or is over."""
    assert one(MISSED._replace(transition=transition)).title == title


def test_the_end_of_an_incident_says_how_long_it_lasted():
    """From when, for how long, and why it is over."""
    text = one(MISSED._replace(transition="closed", summary="a run succeeded")).text
    assert text.startswith("Over: etl.nightly on web-1 missed its time: a run succeeded\nit was so for 20 min, since 2026-09-21")


def test_a_group_names_its_workflows():
    """A silent host comes with those that did not run, twenty of them by name."""
    names = tuple(f"w{i:02}" for i in range(25))
    group = MISSED._replace(kind="host_silent", workflow="", members=names, due_ns=None)
    message = one(group)
    assert message.title == "web-1 is silent"
    assert f"workflows: {', '.join(names[:20])} and 5 more" in message.text
    assert message.payload["incidents"][0]["workflow_count"] == 25


def test_the_payload_is_for_machines():
    """Times in UTC, names as they are, and the same id as the text."""
    message = one(FAILED)
    item = message.payload["incidents"][0]
    assert (message.payload["type"], message.payload["id"], message.payload["count"]) == ("alert", message.id, 1)
    assert (item["workflow"], item["kind"], item["transition"], item["run_id"]) == ("etl.nightly", "failed", "opened", RUN)
    assert (item["since_at"], item["at"]) == ("2026-09-21T13:53:20.000000Z", "2026-09-21T14:13:20.000000Z")
    assert json.loads(json.dumps(message.payload)) == message.payload


def test_an_id_is_the_same_for_the_same_alert():
    """Composed again it is the same; another transition, moment or channel has another."""
    ids = [
        one(notice, (channel,)).id
        for notice in (MISSED, MISSED._replace(transition="closed"), MISSED._replace(at_ns=T0 + 1))
        for channel in ("ops", "oncall")
    ]
    assert len(set(ids)) == len(ids)
    assert one(MISSED).id == ids[0]


def test_notices_go_to_the_channels_that_they_name():
    """No channels named: all; none at all: nobody."""
    notices = [MISSED._replace(incident_id="a"), MISSED._replace(channels=("ops",)), MISSED._replace(channels=())]
    found = compose(notices, ["oncall", "ops"], DASHBOARD)
    assert [message.channel for message in found] == ["oncall", "ops", "ops"]
    assert compose(notices, [], DASHBOARD) == []


def test_a_notice_for_channels_that_are_not_there_goes_to_all():
    """A name that was misspelt, or removed since, must not silence an alert."""
    found = compose([MISSED._replace(channels=("opps",))], ["oncall", "ops"], DASHBOARD)
    assert [message.channel for message in found] == ["oncall", "ops"]
    found = compose([MISSED._replace(channels=("opps", "ops"))], ["oncall", "ops"], DASHBOARD)
    assert [message.channel for message in found] == ["ops"]


def test_more_than_five_become_one_digest():
    """Five are five messages; six are one, which names them, what is broken before what is well again."""
    five = [MISSED._replace(incident_id=str(i), workflow=f"w{i}") for i in range(5)]
    assert len(compose(five, ["ops"], DASHBOARD)) == 5
    (digest,) = compose([MISSED._replace(transition="closed", workflow="well"), *five], ["ops"], DASHBOARD)
    assert digest.title == "6 alerts: 5 opened, 1 closed"
    lines = digest.text.splitlines()
    assert [line.split()[1] for line in lines[:5]] == ["w0", "w1", "w2", "w3", "w4"]
    assert lines[5].startswith("- Over: well on web-1")
    assert lines[6:] == ["all of them: http://127.0.0.1:8501/", f"alert {digest.id}"]


def test_a_hundred_thousand_notices_are_one_message():
    """A storm is one digest of bounded size that names twenty and says how many more."""
    notices = [MISSED._replace(incident_id=str(i), workflow=f"workflow-{i}" * 20) for i in range(100_000)]
    (digest,) = compose(notices, ["ops"], DASHBOARD)
    assert digest.title == "100,000 alerts: 100,000 opened"
    assert "and 99,980 more" in digest.text
    assert len(digest.text.encode()) <= TEXT_BYTES
    assert len(digest.payload["incidents"]) == 20


@pytest.mark.parametrize(
    "evil", ["a\r\nBcc: all@example.org", "a\x1b[2J\x07", "a\u202eb\u2028c", "a\ud800", "x" * 10_000, "é" * 5000]
)
def test_what_users_wrote_is_inert_and_bounded(evil):
    """Names, hosts, summaries and errors cannot begin a header, move a cursor, turn text around, or fill a mailbox."""
    message = one(
        FAILED._replace(workflow=evil, host=evil, summary=evil, error="\n".join([evil] * 500), run_id=evil, members=(evil,))
    )
    assert len(message.title) <= TITLE_CHARS
    assert message.title.isprintable()
    assert len(message.text.encode()) <= TEXT_BYTES
    assert all(line.isprintable() for line in message.text.split("\n"))
    assert message.text.endswith(f"\nalert {message.id}")


def test_an_error_is_its_last_lines():
    """The end of a traceback says what it was: ten lines, each bounded."""
    assert tail("\n".join(f"line {i}" for i in range(50)) + "\n\n") == [f"line {i}" for i in range(40, 50)]
    assert len(tail("y" * 10**6)) == 1
    assert len(tail("\n" * 10**6 + "end")) == ERROR_LINES


def test_text_is_cut_between_characters():
    """A bound in bytes leaves no half character."""
    assert cut_bytes("é" * 10, 11) == "éééé…"
    assert cut_bytes("é" * 5, 10) == "é" * 5


def test_a_zone_that_is_not_known_does_not_silence_an_alert():
    """Zones come and go with a machine's zone database: times are then said in UTC."""
    assert "15:53:20" not in one(MISSED._replace(tz="Mars/Olympus")).text
    assert "2026-09-21 13:53:20 UTC" in one(MISSED._replace(tz="Mars/Olympus")).text
