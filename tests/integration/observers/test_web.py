"""Asking an HTTP API: what it answers, and what is not an answer."""

from __future__ import annotations

import urllib.error
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from collectors import clean_environment
from orchestrators import SOURCES
from servers import rota

from rota_integrations.following import Later
from rota_integrations.web import ask


class Once(ThreadingHTTPServer):
    """Answers everything with one answer, and keeps what it was asked."""

    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")

    def __init__(self) -> None:
        self.asked: list[Any] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Handler(BaseHTTPRequestHandler):
    server: Once

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked.append((self.command, self.path, self.rfile.read(length), self.headers.get("X-Mine")))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Once]:
    """Whoever answers."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Once() as found:
        thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_a_question_is_a_get_and_with_a_form_a_post_whose_url_has_no_secret(server: Once) -> None:
    """What is answered is read as JSON."""
    server.answer = (200, {}, b'{"a": [1]}')
    assert ask(server.url, {"q": "x y", "n": 2}, headers={"X-Mine": "1"}) == {"a": [1]}
    ask(server.url, form={"password": "geheim"})
    ask(server.url, content={"password": "geheim"})
    assert server.asked == [
        ("GET", "/api?q=x+y&n=2", b"", "1"),
        ("POST", "/api", b"password=geheim", None),
        ("POST", "/api", b'{"password": "geheim"}', None),
    ]


def test_an_empty_answer_is_none(server: Once) -> None:
    """As 204 says that there is nothing."""
    server.answer = (204, {}, b"")
    assert ask(server.url) is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("said", "seconds"), [("7", 7), ("Wed, 21 Oct 2026 07:28:00 GMT", None), (None, None)])
def test_a_server_without_time_is_asked_later(server: Once, status: int, said: str | None, seconds: float | None) -> None:
    """In as many seconds as it says."""
    server.answer = (status, {"Retry-After": said} if said else {}, b"")
    with pytest.raises(Later) as caught:
        ask(server.url)
    assert caught.value.seconds == seconds


def test_an_error_is_the_server_s_own(server: Once) -> None:
    """Its status is what is said of it."""
    server.answer = (500, {}, b"")
    with pytest.raises(urllib.error.HTTPError, match="500"):
        ask(server.url)


@pytest.mark.parametrize("body", [b"<html>Log in</html>", b"\xff\xfe"])
def test_what_is_not_json_is_said_with_its_beginning(server: Once, body: bytes) -> None:
    """A login page, mostly."""
    server.answer = (200, {}, body)
    with pytest.raises(ValueError, match="which is not JSON. Is it the API's address"):
        ask(server.url)


@pytest.mark.parametrize("options", ["activebatch --url", "azkaban --url", "kubernetes --server", "prefect --url"])
def test_what_is_no_address_is_refused(options: str) -> None:
    """Before anything is asked, with one as it is written."""
    done = rota("observe", *options.split(), "there:80", "--once", environment=clean_environment(PYTHONPATH=SOURCES))
    assert done.returncode == 2
    assert "'there:80' is no address: write it like http" in done.stderr
