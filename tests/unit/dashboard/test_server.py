"""What the server answers beside Streamlit, and what every answer carries."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from dashboard_items import asked_of
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from rota_dashboard import config, index, parts, server


@pytest.fixture
def site(monkeypatch) -> Starlette:
    """The server without Streamlit in its midst."""
    made: dict[str, Any] = {}

    def streamlits(script: Any, routes: Any, middleware: Any) -> Starlette:
        made["script"] = script
        return Starlette(routes=[*routes, Route("/broken", broken)], middleware=middleware)

    def broken(_request: object) -> Response:
        return Response("no", status_code=500)

    monkeypatch.setattr(server.st, "App", streamlits)
    site: Any = server.app()
    assert made["script"].name == "app.py"
    assert made["script"].is_file()
    return site  # type: ignore[no-any-return]


def get(site: Starlette, path: str, **headers: str) -> httpx.Response:
    return asked_of(site, "GET", path, headers=headers)


@pytest.mark.parametrize("path", server.PAGES)
def test_every_page_is_the_same_page(site, path):
    """Whatever its address, as Streamlit draws them all; and it is asked for anew each time."""
    answer = get(site, path)
    assert (answer.status_code, answer.text) == (200, index.html())
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_the_pages_are_those_that_streamlit_knows():
    """Each that ``app.py`` names is served by us, and no other."""
    script = (parts.WEB.parents[1] / "app.py").read_text()
    named = {f"/{path}" for path in re.findall(r'url_path="(\w+)"', script)}
    assert {*named, "/"} == set(server.PAGES)


def test_parts_are_kept_for_good(site):
    """Their address changes with them; what is not there is not remembered."""
    answer = get(site, f"{parts.path()}/base.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    for path in (f"{parts.path()}/nothing.js", "/parts/0123456789ab/base.js", f"{parts.path()}/../__init__.py"):
        missing = get(site, path)
        assert missing.status_code == 404
        assert "immutable" not in missing.headers.get("cache-control", "")


@pytest.mark.parametrize("path", ["/", "/workflow?name=x", "/nothing", "/broken", "/login"])
def test_every_answer_says_what_a_browser_must_not_do(site, path):
    """Errors too: no scripts of others, no frames, no guessing of types, no addresses told to others."""
    answer = get(site, path)
    assert answer.headers["content-security-policy"] == index.policy()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_parts_of_pages_carry_the_policy_too(site):
    """A picture opened by itself is a page."""
    assert get(site, f"{parts.path()}/icon.svg").headers["content-security-policy"] == index.policy()


def test_what_is_not_http_passes_through():
    """The start of the server, and the connections over which pages are drawn."""
    passed: list[str] = []

    async def inner(scope: Any, _receive: Any, send: Any) -> None:
        passed.append(scope["type"])
        await send({"type": "websocket.accept"})

    async def run() -> list[Any]:
        said: list[Any] = []

        async def send(message: Any) -> None:
            said.append(message)

        for kind in ("lifespan", "websocket"):
            await server.Headers(inner)({"type": kind, "path": "/parts/x"}, None, send)  # type: ignore[arg-type]
        return said

    assert asyncio.run(run()) == [{"type": "websocket.accept"}] * 2
    assert passed == ["lifespan", "websocket"]


def test_streamlit_is_told_where_it_is_and_who_may_ask(monkeypatch):
    """Its address, the names that it answers to, and a font of ours."""
    told: dict[str, Any] = {}

    class Streamlits:
        def run(self, config: dict[str, Any]) -> None:
            told.update(config)

    monkeypatch.setenv("ROTA_DASHBOARD_URL", "https://rota.example.com")
    monkeypatch.setattr(server, "app", Streamlits)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    server.run("127.0.0.1", 8502)
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", 8502)
    assert told["server.allowedHosts"] == ["127.0.0.1", "localhost", "::1", "rota.example.com"]
    assert told["theme.fontFaces"][0]["url"] == f"{parts.path()}/inter.woff2"
    assert config.STREAMLIT.items() <= told.items()
