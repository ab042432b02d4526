"""What all pages share: what was known last, who looks, and what is said when nothing can be shown."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from dashboard_items import BERLIN, HOSTILE

from rota_dashboard import login, views
from rota_dashboard.client import Collector, CollectorAway, CollectorRefused, KeyNeeded, NotThere

ADDRESS = "http://collector:4318"


class Asked:
    """A collector whose every answer is the next of these; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self._answers = iter(answers)
        self.count = 0

    def __call__(self, _collector: Collector) -> Any:
        self.count += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def looks(monkeypatch) -> SimpleNamespace:
    """Somebody in Berlin looks, without a key; nothing is known yet, and the clock stands until it is moved."""
    found = SimpleNamespace(cookies={}, timezone="Europe/Berlin", passed=0.0)
    remembered = views._Memory()
    for name in ("ROTA_TOKEN", "ROTA_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROTA_ENDPOINT", ADDRESS)
    monkeypatch.setattr(views, "st", SimpleNamespace(context=found))
    monkeypatch.setattr(views, "memory", lambda: remembered)
    monkeypatch.setattr(views, "monotonic", lambda: found.passed)
    found.memory = remembered
    return found


@pytest.fixture
def drawn(monkeypatch) -> list[tuple[str, Any]]:
    """The parts that a page mounts, with their data."""
    found: list[tuple[str, Any]] = []
    monkeypatch.setattr(views.parts, "draw", lambda name, data: found.append((name, data)))
    return found


def test_an_answer_is_shown_as_it_came(looks):
    """Without a word about the collector, which is there."""
    assert views.known(Asked({"a": 1}), "x") == ({"a": 1}, None)


def test_two_tabs_ask_once(looks):
    """What was just asked is not asked again; a moment later it is."""
    ask = Asked(1, 2)
    assert [views.known(ask, "x").answer, views.known(ask, "x").answer] == [1, 1]
    looks.passed = 2.0
    assert views.known(ask, "x").answer == 2
    assert ask.count == 2


def test_what_was_known_is_shown_while_the_collector_is_away(looks, monkeypatch):
    """With the time of it, by the reader's clock, and how often it is tried; when the collector is back nothing is said."""
    ask = Asked("old", CollectorAway(ADDRESS, "refused"), CollectorAway(ADDRESS, "refused"), "new")
    monkeypatch.setattr(views, "datetime", SimpleNamespace(now=lambda _zone: datetime(2026, 11, 23, 8, 2, tzinfo=UTC)))
    views.known(ask, "x")
    found = []
    for looks.passed in (10.0, 20.0, 30.0):
        found.append(views.known(ask, "x"))
    away = f"The collector at {ADDRESS} does not answer. Showing what was known at 09:02. Trying again every 5 s."
    assert found == [("old", away), ("old", away), ("new", None)]


def test_what_was_never_known_cannot_be_shown(looks):
    """Who comes first to an absent collector is told that it is away; so is who asks for something else."""
    with pytest.raises(CollectorAway):
        views.known(Asked(CollectorAway(ADDRESS, "refused")), "x")
    views.known(Asked("known"), "x")
    with pytest.raises(CollectorAway):
        views.known(Asked(CollectorAway(ADDRESS, "refused")), "x", "page 2")


def test_a_refusal_is_no_absence(looks):
    """What was known is not shown to somebody who may not see it any more."""
    views.known(Asked("known"), "x")
    looks.passed = 10.0
    with pytest.raises(KeyNeeded):
        views.known(Asked(KeyNeeded("no")), "x")


def test_what_one_key_may_see_is_not_shown_to_another(looks):
    """Answers are kept by the key that asked."""
    looks.cookies = {login.COOKIE: "of ada"}
    views.known(Asked("for ada"), "x")
    looks.cookies = {login.COOKIE: "of bob"}
    assert views.known(Asked("for bob"), "x").answer == "for bob"
    looks.cookies = {}
    with pytest.raises(CollectorAway):
        views.known(Asked(CollectorAway(ADDRESS, "refused")), "x")
    looks.cookies = {login.COOKIE: "of ada"}
    assert views.known(Asked(), "x").answer == "for ada"


def test_after_something_was_done_everything_is_asked_anew(looks):
    """The page shows it as it is then."""
    views.known(Asked("before"), "x")
    looks.memory.forget()
    assert views.known(Asked("after"), "x").answer == "after"


def test_only_the_last_answers_are_kept(looks):
    """Whoever asks for many things does not fill the memory; what was asked for again stays."""
    for number in range(views._KEPT):
        views.known(Asked(number), str(number))
    looks.passed = 10.0
    views.known(Asked("again"), "0")
    views.known(Asked("one more"), "more")
    keys = [str(number) for number in range(views._KEPT) if looks.memory.last((ADDRESS, "", str(number)))]
    assert keys == ["0", *map(str, range(2, views._KEPT))]


def test_many_may_look_at_once(looks):
    """Each tab is a thread."""
    threads = [
        threading.Thread(target=lambda n=n: [looks.memory.keep((str(n), str(i)), i) for i in range(500)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looks.memory._answers) == views._KEPT


def test_the_key_is_the_dashboards_or_else_that_of_who_looks(looks, monkeypatch):
    """Where a key is set for all, a person's own does not matter."""
    assert (views.collector().base_url, views.collector().token) == (ADDRESS, "")
    looks.cookies = {login.COOKIE: "of ada"}
    assert views.collector().token == "of ada"
    monkeypatch.setenv("ROTA_TOKEN", "for all")
    assert views.collector().token == "for all"


@pytest.mark.parametrize(
    ("name", "zone"),
    [("Europe/Berlin", BERLIN), (None, "UTC"), ("", "UTC"), ("Europe/Nowhere", "UTC"), ("../../etc/passwd", "UTC")],
)
def test_times_are_those_of_who_looks(looks, name, zone):
    """UTC when the browser names no zone, or one that nobody knows."""
    looks.timezone = name
    assert str(views.zone()) == str(zone)


def said(drawn: list[tuple[str, Any]], error: Exception) -> tuple[str, Any]:
    """What is drawn when a page fails so."""
    with views.calmly():
        raise error
    [found] = drawn
    return found


def test_an_absent_collector_is_said_calmly(looks, drawn):
    """Its address, how to start it, that nothing is lost, and that it is tried again."""
    name, data = said(drawn, CollectorAway(ADDRESS, "refused"))
    assert (name, data["title"]) == ("notice", "The collector does not answer.")
    text = " ".join(data["lines"])
    assert f"Nobody listens at {ADDRESS}. Trying again every 5 s." in text
    assert "nothing is lost" in text


def test_a_connection_that_fails_for_a_certificate_says_which_setting(looks, drawn):
    """Nobody is told to start a collector that runs."""
    _, data = said(drawn, CollectorAway(ADDRESS, "hung up", "Set THIS to a file"))
    assert data["lines"] == [
        f"{ADDRESS}: hung up. Trying again every 5 s.",
        "Set THIS to a file. Runs are kept on their hosts until then; nothing is lost.",
    ]


@pytest.mark.parametrize(("cookies", "message"), [({}, None), ({login.COOKIE: "old"}, f"unknown key {HOSTILE}.")])
def test_who_needs_a_key_is_asked_for_one(looks, drawn, cookies, message):
    """With the collector's words when there was one already; the first time there is nothing to complain about."""
    looks.cookies = cookies
    assert said(drawn, KeyNeeded(f"unknown key {HOSTILE}.")) == ("login", {"message": message})


def test_what_is_not_there_is_said_with_a_way_back(looks, drawn):
    """In the collector's words."""
    assert said(drawn, NotThere("no run 'x'.")) == ("notice", {"title": "Not found", "lines": ["no run 'x'."], "back": True})


def test_any_other_refusal_is_said_in_the_collectors_words(looks, drawn):
    """With its hint."""
    name, data = said(drawn, CollectorRefused(f"{HOSTILE}. Do this."))
    assert (name, data) == ("notice", {"title": "The collector refused.", "lines": [f"{HOSTILE}. Do this."]})


def test_a_fault_of_ours_is_not_hidden(looks, drawn):
    """Only what the collector said or did not say is calmed."""
    with pytest.raises(KeyError), views.calmly():
        raise KeyError("x")
    assert drawn == []


def test_who_looks_is_asked_once(looks):
    """The name and scope of the key, as the collector knows it."""
    looks.memory.keep((ADDRESS, "", "me"), {"name": "ada", "scope": "read", "is_open": False})
    assert views.me()["name"] == "ada"
