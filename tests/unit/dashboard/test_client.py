"""The collector's HTTP API as the pages ask it, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from dashboard_items import HOSTILE, a_collector, a_run, refusal, run_columns, span_columns, streamed, workflow_columns

from rota_dashboard import client
from rota_dashboard.client import Changed, Collector, CollectorAway, CollectorRefused, KeyNeeded, NotThere

NOT_OURS = "and not as a rota collector does"


class Recorder:
    """A collector that answers every question so, and remembers what it was asked."""

    def __init__(self, answer: Any = None) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = {"items": [], "next": None} if answer is None else answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return (
            httpx.Response(200, content=self._answer)
            if isinstance(self._answer, bytes)
            else httpx.Response(200, json=self._answer)
        )

    @property
    def address(self) -> str:
        return str(self.asked[-1].url).removeprefix("http://collector:4318/api/v1")


@pytest.mark.parametrize("name", ['a/b c?&#"<>', "naïve 日本", "%2e%2e", "a%2Fb", "..a", HOSTILE])
def test_whatever_a_thing_is_called_it_is_one_part_of_the_path(name):
    """Nothing in it leads anywhere else."""
    asked = Recorder()
    for ask in (lambda c: c.workflow(name, "/policy"), lambda c: c.run(name), lambda c: c.incident(name, "/history")):
        ask(a_collector(asked))
        assert asked.asked[-1].url.path.count(name) == 1
        assert not asked.asked[-1].url.query
        assert not asked.asked[-1].url.fragment


@pytest.mark.parametrize("name", ["", ".", ".."])
@pytest.mark.parametrize(
    "ask", [lambda c, name: c.workflow(name, "/policy"), lambda c, name: c.run(name), lambda c, name: c.spans(name),
            lambda c, name: c.incident(name)], ids=["workflow", "run", "spans", "incident"],
)  # fmt: skip
def test_a_name_that_would_be_another_path_is_of_nothing(name, ask):
    """A page whose address names nothing says so, and the collector is not asked for a list instead."""
    asked = Recorder()
    with pytest.raises(NotThere):
        ask(a_collector(asked), name)
    assert asked.asked == []


def test_what_is_not_asked_for_is_not_sent():
    """None is left out, several values are repeated, a truth is one word."""
    asked = Recorder()
    a_collector(asked).runs(workflow="etl", state=["failed", "crashed"], cursor=None, tasks=False)
    assert asked.address == "/runs?workflow=etl&state=failed&state=crashed&tasks=false"


@pytest.mark.parametrize("key", ["s3cret", "clé ключ"])
def test_the_key_goes_with_every_question(key):
    """As a bearer token, also a wrong one that nobody could have made; without one none is sent."""
    asked = Recorder({"items": [], "next": None})
    for ask in (Collector.me, Collector.slots, lambda c: c.act("/x")):
        ask(a_collector(asked, key))
        assert asked.asked[-1].headers.raw.count((b"Authorization", f"Bearer {key}".encode())) == 1
    a_collector(asked).me()
    assert "authorization" not in asked.asked[-1].headers


@pytest.mark.parametrize(
    ("ask", "table", "address"),
    [
        (Collector.workflows, workflow_columns({"name": HOSTILE}), "/workflows"),
        (lambda c: c.spans("r/1"), span_columns({"name": HOSTILE}), "/runs/r%2F1/spans"),
        (lambda c: c.runs_during("2026-11-23T00:00:00+00:00", "b"), run_columns({}, {}),
         "/runs?during=true&since=2026-11-23T00%3A00%3A00%2B00%3A00&until=b"),
        (Collector.workflows, workflow_columns(), "/workflows"),
    ],
    ids=["workflows", "spans", "runs", "none"],
)  # fmt: skip
def test_long_lists_are_asked_for_as_columns(ask, table, address):
    """Whole, and typed as they were sent."""
    asked = Recorder(streamed(table))
    assert ask(a_collector(asked)).equals(table)
    assert (asked.address, asked.asked[0].headers["Accept"]) == (address, "application/vnd.apache.arrow.stream")


@pytest.mark.parametrize(
    ("ask", "address"),
    [
        (lambda c: c.slots(workflow="a", limit=3), "/slots?workflow=a&limit=3"),
        (lambda c: c.alerts(incident="i", limit=100), "/alerts?incident=i&limit=100"),
        (lambda c: c.activity(), "/activity"),
        (lambda c: c.leases("pool a/b"), "/leases?scope=pool+a%2Fb"),
        (lambda c: c.waiting("a"), "/waiting?workflow=a"),
    ],
    ids=["slots", "alerts", "activity", "leases", "waiting"],
)
def test_short_lists_are_their_items(ask, address):
    """As the collector keeps them, without what is around them."""
    asked = Recorder({"items": [1, 2], "next": None})
    assert (ask(a_collector(asked)), asked.address) == ([1, 2], address)


def test_incidents_are_all_pages_of_them():
    """One after the other, as long as there is a next; a page by itself is one."""
    pages = {None: {"items": [1, 2], "next": "b"}, "b": {"items": [3], "next": None}}

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.params["state"] == "open"
        return httpx.Response(200, json=pages[request.url.params.get("cursor")])

    assert a_collector(answer).incidents(state="open") == [1, 2, 3]
    assert a_collector(answer).incident_page(state="open", cursor=None) == pages[None]


def test_what_is_done_is_posted():
    """What is said, without what is not; the answer is the thing as it is then."""
    asked = Recorder(a_run())
    assert a_collector(asked).act("/runs/1/outcome", state="failed", reason=None, by=HOSTILE) == a_run()
    assert (asked.asked[0].method, asked.address) == ("POST", "/runs/1/outcome")
    assert json.loads(asked.asked[0].content) == {"state": "failed", "by": HOSTILE}


def test_a_policy_goes_as_the_text_that_it_is():
    """To be read by the collector: with whose it is, and, when it is stored, who, why and over which version."""
    asked = Recorder({"items": [{"document": {}}], "next": None})
    text = f"a: '{HOSTILE}' # naïve"
    assert a_collector(asked).examined(text, "a/b") == {"document": {}}
    assert asked.address == "/policies/check?workflow=a%2Fb"
    a_collector(asked).store("a/b", text, author="ada", reason=None, if_version=3)
    assert (asked.asked[-1].method, asked.address) == ("PUT", "/workflows/a%2Fb/policy?author=ada&if_version=3")
    assert {(each.content, each.headers["Content-Type"]) for each in asked.asked} == {(text.encode(), "application/yaml")}


def test_a_text_of_several_policies_is_none_for_an_editor():
    """It says how many there are."""
    for items in ([], [{}, {}]):
        with pytest.raises(CollectorRefused, match=f"holds {len(items)} documents"):
            a_collector(Recorder({"items": items, "next": None})).examined("x", "w")


def test_a_null_that_takes_the_codes_value_away_is_tried_on_the_past_too():
    """Nothing of a document is left out."""
    asked = Recorder({"items": [{"runs": 0}], "next": None})
    assert a_collector(asked).tested({"retry": None}, "w") == {"runs": 0}
    assert json.loads(asked.asked[0].content) == {"retry": None, "workflow": "w"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, KeyNeeded), (404, NotThere), (403, CollectorRefused), (409, Changed), (500, CollectorRefused)],
)
def test_a_refusal_has_the_collectors_own_words(status, kind):
    """With its hint, as one text."""
    with pytest.raises(kind) as refused:
        a_collector(refusal(status, f"no run {HOSTILE}", "GET /api/v1/runs lists them")).me()
    assert (type(refused.value), str(refused.value)) == (kind, f"no run {HOSTILE}. GET /api/v1/runs lists them.")
    with pytest.raises(kind, match=r"^no run\.$"):
        a_collector(refusal(status, "no run")).me()


CUT = streamed(workflow_columns(*({"name": f"w{i}"} for i in range(500))))[:-400]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"hello"), (200, b"[1]"), (200, b""), (200, b"null"), (502, b"<html>"), (307, b""), (401, b'{"error": "no"}'),
        (404, b'{"detail": "Not Found"}'), (500, b'["error"]'), (200, CUT),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "ask", [Collector.me, Collector.workflows, Collector.slots, Collector.incidents, Collector.runs, lambda c: c.act("/x")],
    ids=["item", "columns", "list", "pages", "page", "act"],
)  # fmt: skip
def test_an_answer_that_is_not_a_collectors_is_named(ask, status, body):
    """Somebody else's server on the port, or half an answer: it is said where, and what to do."""
    with pytest.raises(CollectorRefused, match=NOT_OURS) as refused:
        ask(a_collector(httpx.Response(status, content=body)))
    assert "http://collector:4318/api/v1/" in str(refused.value)
    assert "Set ROTA_ENDPOINT" in str(refused.value)


@pytest.mark.parametrize("ask", [Collector.slots, Collector.incidents, Collector.runs, Collector.incident_page])
def test_a_list_without_items_is_not_a_collectors(ask):
    """Whatever else it is."""
    with pytest.raises(CollectorRefused, match=NOT_OURS):
        ask(a_collector(httpx.Response(200, json={"hello": "world"})))


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut"),
        httpx.UnsupportedProtocol("ftp"),
    ],
)
def test_who_does_not_answer_is_away(error):
    """Nobody listens, or too slowly, or hangs up: the page is told the address."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    with pytest.raises(CollectorAway) as away:
        a_collector(answer).workflows()
    assert away.value.address == "http://collector:4318"
    assert str(error) in str(away.value)


def test_all_who_look_share_connections(monkeypatch):
    """One pool an address, with a limit on how long anybody waits."""
    made = connected(monkeypatch, "http://a", "http://a", "http://b")
    assert [how["base_url"] for how in made] == ["http://a", "http://b"]
    assert all(how["timeout"].connect <= 2 and how["timeout"].read <= 10 for how in made)


def test_no_proxy_leads_to_this_machine(monkeypatch):
    """HTTP_PROXY is for what is elsewhere."""
    made = connected(monkeypatch, "http://127.0.0.1:4318", "http://localhost:4318", "http://[::1]:4318", "http://collector:4318")
    assert [how["trust_env"] for how in made] == [False, False, False, True]


def connected(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[dict[str, Any]]:
    """How the connections to these addresses were made."""
    client._pool.cache_clear()
    made: list[dict[str, Any]] = []
    real: Callable[..., httpx.Client] = httpx.Client
    with monkeypatch.context() as patched:
        patched.setattr(httpx, "Client", lambda **how: (made.append(how), real(**how))[1])
        for address in addresses:
            client._pool(address)
    client._pool.cache_clear()
    return made
