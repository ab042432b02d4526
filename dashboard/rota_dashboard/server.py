"""The dashboard as a server: Streamlit, the modules that the browser draws with, the way in, and what every answer carries."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rota_dashboard import config, index, login, parts

_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
PAGES = (
    "/", "/overview", "/workflow", "/run", "/timeline", "/incidents", "/incident", "/spectrum", "/policy", "/approvals",
)  # fmt: skip


def app() -> st.App:
    """The ASGI application."""
    routes: list[BaseRoute] = [
        *(Route(path, _page) for path in PAGES),
        Mount(parts.path(), StaticFiles(directory=parts.WEB)),
        Route("/login", login.log_in, methods=["POST"]),
        Route("/logout", login.log_out, methods=["POST"]),
    ]
    return st.App(Path(__file__).with_name("app.py"), routes=routes, middleware=[Middleware(Headers)])


async def _page(_request: Request) -> Response:
    return HTMLResponse(index.html(), headers={"Cache-Control": "no-cache"})


def run(host: str, port: int) -> None:
    """Serve until a signal comes."""
    font = {"family": "Inter", "url": f"{parts.path()}/inter.woff2", "weight": "100 900", "style": "normal"}
    settings = {
        **config.STREAMLIT,
        "server.address": host,
        "server.port": port,
        "browser.serverAddress": host,
        "server.allowedHosts": config.hosts(),
        "theme.font": "Inter, system-ui, sans-serif",
        "theme.fontFaces": [font],
    }
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)  # uvicorn takes them while it serves, and raises them again when it has stopped
    app().run(config=settings)


def _end(*_: object) -> None:
    sys.exit(0)


class Headers:
    """ASGI around ``app``: what a browser must not do with our pages, whatever is in them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [
            (b"content-security-policy", index.policy().encode()),
            (b"referrer-policy", b"same-origin"),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_ours = scope["type"] == "http" and scope["path"].startswith("/parts/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_kept = is_ours and message["status"] == 200
                message["headers"] = [*message.get("headers", ()), *self._headers, *([_FOREVER] if is_kept else [])]
            await send(message)

        await self._app(scope, receive, with_headers)
