"""The way in: a person gives a key, and the browser keeps it where no script reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from dashboard_items import a_collector, asked_of, refusal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from rota_dashboard import login
from rota_dashboard.client import Collector

KEY = "rk_read_0123456789abcdef"
OURS = "http://127.0.0.1:8501"


@pytest.fixture
def asked(monkeypatch) -> list[httpx.Request]:
    """What the collector was asked; it knows one key."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if request.headers["Authorization"] == f"Bearer {KEY}":
            return httpx.Response(200, json={"name": "ada", "scope": "read", "is_open": False})
        return refusal(401, "GET /api/v1/me needs a key: the one that came with it is unknown", "`rota key create` makes one")

    use(monkeypatch, answer)
    return seen


def use(monkeypatch: pytest.MonkeyPatch, answer: Callable[[httpx.Request], httpx.Response]) -> None:
    def collector(_url: str, key: str) -> Collector:
        return a_collector(answer, key)

    monkeypatch.setattr(login, "Collector", collector)


@pytest.fixture(autouse=True)
def here(monkeypatch) -> None:
    """The dashboard is on this machine, and nothing stands before it."""
    monkeypatch.delenv("ROTA_DASHBOARD_URL", raising=False)


SITE = Starlette(routes=[Route("/login", login.log_in, methods=["POST"]), Route("/logout", login.log_out, methods=["POST"])])


def post(path: str, content: str | bytes = b"", **headers: str) -> httpx.Response:
    return asked_of(SITE, "POST", path, content=content, headers=headers)


def cookie_of(answer: httpx.Response) -> dict[str, str]:
    """Its attributes, in lower case."""
    name_value, *rest = answer.headers["set-cookie"].split("; ")
    pairs = (each.partition("=") for each in rest)
    return {"": name_value, **{name.lower(): value for name, _, value in pairs}}


def test_a_right_key_is_kept_where_no_script_reads_it(asked):
    """A cookie that goes back to this site alone, and to pages of it alone; the key itself is in no answer's body."""
    answer = post("/login", f" {KEY}\n", Origin=OURS)
    assert (answer.status_code, answer.content) == (204, b"")
    cookie = cookie_of(answer)
    assert cookie[""] == f"{login.COOKIE}={KEY}"
    assert {"httponly", "max-age"} <= cookie.keys()
    assert (cookie["samesite"], cookie["path"]) == ("strict", "/")
    assert "secure" not in cookie
    assert [str(request.url.path) for request in asked] == ["/api/v1/me"]


def test_over_tls_the_cookie_goes_over_tls_only(asked, monkeypatch):
    """Where people reach the dashboard at an https address, key and farewell are for that alone."""
    monkeypatch.setenv("ROTA_DASHBOARD_URL", "https://rota.example.com")
    host = {"Host": "rota.example.com", "Origin": "https://rota.example.com"}
    for answer in (post("/login", KEY, **host), post("/logout", **host)):
        assert answer.status_code == 204
        assert "secure" in cookie_of(answer)


def test_a_wrong_key_is_refused(asked):
    """In words for a person at the page, and nothing is kept."""
    answer = post("/login", "another", Origin=OURS)
    assert answer.status_code == 401
    assert answer.json() == {"message": "The collector knows no such key, or it was revoked."}
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "given", ["", "  \n", "x" * 501, "x" * 100_000, "a\nb", "a\x00b", "clé", "\u202ekey", b"\xff\xfe"],
    ids=["nothing", "blanks", "long", "very long", "lines", "nul", "letters", "turned", "no text"],
)  # fmt: skip
def test_what_can_be_no_key_is_not_asked_about(asked, given):
    """Too long, or of characters that no key has."""
    answer = post("/login", given)
    assert (answer.status_code, answer.json()) == (401, {"message": "This is no key."})
    assert asked == []


def test_the_longest_key_is_asked_about(asked):
    """Only the collector says that it is wrong."""
    assert post("/login", "x" * 500).status_code == 401
    assert len(asked) == 1


def test_no_more_is_read_than_a_key_is_long(asked):
    """Nobody has to be known to send something: of what never ends a little is read, and the rest is let go."""
    taken = 0

    async def receive() -> dict[str, object]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}

    request = Request({"type": "http", "method": "POST", "path": "/login", "headers": []}, receive)
    answer = asyncio.run(login.log_in(request))
    assert (answer.status_code, taken) == (401, 1)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:9999", "http://localhost:8501", "null", "http://127.0.0.1"]
)
@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_a_page_of_another_site_can_neither_log_in_nor_out(asked, origin, path):
    """The browser says where a request comes from, and it is not from here."""
    answer = post(path, KEY, Origin=origin)
    assert answer.status_code == 403
    assert path == "/logout" or answer.json() == {"message": "A page of another site may not log in here."}
    assert "set-cookie" not in answer.headers
    assert asked == []


def test_a_proxy_that_names_itself_otherwise_is_us(asked, monkeypatch):
    """Not every proxy passes on the name that it was called by."""
    monkeypatch.setenv("ROTA_DASHBOARD_URL", "https://rota.example.com")
    assert post("/login", KEY, Origin="https://rota.example.com").status_code == 204
    assert post("/login", KEY, Origin="https://evil.example").status_code == 403


def test_without_a_collector_nobody_can_say_whether_it_is_a_key(monkeypatch):
    """That is said, with the address; the key is not called wrong."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    use(monkeypatch, answer)
    found = post("/login", KEY)
    assert found.status_code == 503
    assert found.json()["message"] == (
        "The collector at http://collector:4318 does not answer, so nobody can say whether this is a key."
    )


def test_somebody_elses_server_is_no_way_in(monkeypatch):
    """It says yes to everything, and not as a collector does."""
    use(monkeypatch, lambda _request: httpx.Response(200, text="hello"))
    found = post("/login", KEY)
    assert found.status_code == 401
    assert "not as a rota collector does" in found.json()["message"]
    assert "set-cookie" not in found.headers


def test_leaving_takes_the_key_away(asked):
    """The cookie ends at once."""
    answer = post("/logout", Cookie=f"{login.COOKIE}={KEY}", Origin=OURS)
    assert answer.status_code == 204
    cookie = cookie_of(answer)
    assert cookie[""] == f'{login.COOKIE}=""'
    assert (cookie["max-age"], cookie["path"]) == ("0", "/")
    assert "httponly" in cookie
    assert asked == []


@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_the_way_in_and_out_is_a_post(path):
    """A link does neither."""
    assert asked_of(SITE, "GET", path).status_code == 405
