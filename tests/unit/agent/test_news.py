"""What a host hears at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from rota.agent.news import News
from rota.agent.target import target
from rota.wire.names import COLLECTOR_HEADER


class Telling(ThreadingHTTPServer):
    """Answers every POST alike, and keeps what was asked."""

    daemon_threads = True
    status, is_rota = 200, True
    news: dict[str, Any] = {"number": 4, "policies": 7, "cancels": [{"run_id": "r", "reason": "ada: no"}]}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.asked: list[dict[str, Any]] = []


class _Exchange(BaseHTTPRequestHandler):
    server: Telling

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        if self.server.is_rota:
            self.send_header(COLLECTOR_HEADER, "1")
        self.end_headers()
        self.wfile.write(json.dumps(self.server.news).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Telling]:
    """Somebody who tells."""
    with Telling() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def heard(server: Telling, monkeypatch: pytest.MonkeyPatch) -> Any:
    """(a function that waits for news, the runs that were to end)."""
    address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("ROTA_ENDPOINT", address)
    cancelled: list[tuple[str, str]] = []
    news = News(lambda run_id, why: cancelled.append((run_id, why)))
    return lambda: news.wait(target("logs")._replace(url=address + "/api/v1/news"), 7), cancelled


def test_who_was_told_asks_on_from_there(server, heard):
    """Each cancel is handed on once; the number comes with the next question."""
    wait, cancelled = heard
    assert wait()
    server.news = {**server.news, "cancels": []}
    assert wait()
    assert cancelled == [("r", "ada: no")]
    assert [(asked["known"], asked["policies"]) for asked in server.asked] == [(0, 7), (4, 7)]
    assert "host" not in server.asked[0]  # a run in a container names its own, and its spool is ours


@pytest.mark.parametrize(("status", "is_rota"), [(404, True), (405, True), (200, False)])
def test_who_tells_no_news_is_not_asked_for_any(server, heard, status, is_rota):
    """A collector of an earlier version, or somebody else's server."""
    server.status, server.is_rota = status, is_rota
    assert not heard[0]()
    assert heard[1] == []


def test_a_collector_that_is_in_trouble_is_asked_again(server, heard):
    """Its refusal is an error, after which the agent waits as ever."""
    server.status = 503
    with pytest.raises(OSError, match="503"):
        heard[0]()
