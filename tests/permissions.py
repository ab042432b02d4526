"""Policies as files, and those who answer questions for permission as told: an agent's socket, a collector's address."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from otlp_receiver import records
from scripts import Outcome, plain

from rota.wire.names import COLLECTOR_HEADER, POLICY_HEADER

Question = dict[str, Any]
Answer = dict[str, Any]
GO = {"answer": "go", "reason": "of course", "by": "agent"}
DENY = {"answer": "deny", "reason": "no rows", "by": "agent"}
SKIP = {"answer": "skip", "reason": "not today"}
PERMIT = {"permit": True}  # of a task, in a policy


def write_policy(home: Path, workflow: str, tasks: dict[str, Any], **more: Any) -> Path:
    """The document as an agent puts it there."""
    path = home / "policy" / (quote(workflow, safe="") + ".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, "tasks": tasks, **more}))
    return path


class Answerer:
    """Answers each question by ``answer``, and keeps them. None: it says nothing, and keeps the caller waiting."""

    def __init__(self, answer: Callable[[Question], Answer | None]) -> None:
        self.answer, self.questions = answer, list[Question]()
        self.address = ""

    def reply(self, said: bytes) -> bytes | None:
        """The answer to one question, rendered."""
        question = json.loads(said)
        self.questions.append(question)
        answer = self.answer(question)
        return None if answer is None else json.dumps(answer).encode()

    @property
    def tasks(self) -> list[str]:
        """What was asked for."""
        return [question["task"] for question in self.questions]


@contextlib.contextmanager
def agent_socket(answer: Callable[[Question], Answer | None] = lambda _: GO) -> Iterator[Answerer]:
    """Looks like an agent at ``address``, a path."""
    answerer = Answerer(answer)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
        answerer.address = folder + "/agent.sock"
        door.bind(answerer.address)
        door.listen(64)
        door.settimeout(0.05)
        over = threading.Event()
        thread = threading.Thread(target=_accept, args=(door, answerer, over))
        thread.start()
        try:
            yield answerer
        finally:
            over.set()
            thread.join()


def _accept(door: socket.socket, answerer: Answerer, over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            connection, _ = door.accept()
            threading.Thread(target=_serve, args=(connection, answerer), daemon=True).start()


def _serve(connection: socket.socket, answerer: Answerer) -> None:
    with connection, connection.makefile("rb") as lines, contextlib.suppress(ConnectionError):
        for line in lines:
            if line.startswith(b'{"permit":1,'):
                reply = answerer.reply(line)
                if reply is not None:
                    connection.sendall(reply + b"\n")


class CollectorStandIn(Answerer):
    """A collector as far as permission goes: questions, and the policies that ask."""

    def __init__(self, answer: Callable[[Question], Answer | None]) -> None:
        super().__init__(answer)
        self.version, self.items = 0, dict[str, Any]()
        self.known: list[int] = []  # what hosts said that they have
        self.keys: list[str] = []
        self.events: list[dict[str, Any]] = []  # what was delivered: attributes of log records, and "event"
        self.is_rota = True
        self.is_old = False  # from before there was a question for policies


@contextlib.contextmanager
def collector(answer: Callable[[Question], Answer | None] = lambda _: GO) -> Iterator[CollectorStandIn]:
    """Listens at ``address``, a URL."""
    answerer = CollectorStandIn(answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Exchange) as server:
        server.daemon_threads = True
        server.answerer = answerer  # type: ignore[attr-defined]
        answerer.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield answerer
        finally:
            server.shutdown()
            thread.join()


def _event(record: dict[str, Any]) -> dict[str, Any]:
    pairs = {pair["key"]: plain(pair["value"]) for pair in record["attributes"]}
    return {**pairs, "event": record.get("eventName", "")}


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        answerer: CollectorStandIn = self.server.answerer  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/api/v1/permission":
            if self.path == "/v1/logs" and body not in (b"", b"{}"):  # else the question whether this is rota, or what it asks
                answerer.events += [_event(record) for record in records(json.loads(body))]
            self._say(200, b"{}")
            return
        answerer.keys.append(self.headers["Idempotency-Key"])
        reply = answerer.reply(body)
        if reply is None:
            self.close_connection = True
        else:
            self._say(200, reply)

    def do_GET(self) -> None:
        answerer: CollectorStandIn = self.server.answerer  # type: ignore[attr-defined]
        asked = urlsplit(self.path)
        if asked.path != "/api/v1/policies/asking" or answerer.is_old:
            self._say(404, b"{}")
            return
        known = int(parse_qs(asked.query)["known"][0])
        answerer.known.append(known)
        items = None if known == answerer.version else answerer.items
        self._say(200, json.dumps({"version": answerer.version, "items": items}).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if self.server.answerer.is_rota:  # type: ignore[attr-defined]
            self.send_header(COLLECTOR_HEADER, "1")
            self.send_header(POLICY_HEADER, str(self.server.answerer.version))  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(body)))
        with contextlib.suppress(ConnectionError):
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


def decisions(outcome: Outcome) -> list[tuple[str, str, str]]:
    """(task, answer, who gave it), in order."""
    return told(outcome.events)


def told(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The same, of events."""
    found = [e for e in events if e["event"] == "rota.gate.decision"]
    return [(e["cicd.pipeline.task.name"], e["rota.gate.answer"], e["rota.source"]) for e in found]


def results(outcome: Outcome) -> dict[str, str | None]:
    """By task: its result, None when it simply ran."""
    return {s["name"]: s["attributes"].get("cicd.pipeline.task.run.result") for s in outcome.spans if s["kind"] == 1}
