"""Questions that the front passes on while the part that answers them is busy."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import uvloop

from rota_collector.proxy import Questions

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def fill(path: str) -> list[socket.socket]:
    """Connections that nobody takes, until there is no place for one more."""
    found: list[socket.socket] = []
    while True:
        found.append(socket.socket(socket.AF_UNIX))
        found[-1].setblocking(False)
        try:
            found[-1].connect(path)
        except BlockingIOError:
            return found


async def ask(path: str, until_asked: threading.Event) -> list[int]:
    """The statuses that are answered to one question."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        if until_asked.is_set():
            await asyncio.sleep(60)  # it does not go away
        until_asked.set()
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    questions = Questions(path)
    scope = {"type": "http", "method": "POST", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    await questions(scope, receive, send)
    await questions.close()
    return statuses


def test_a_question_waits_for_a_place_in_a_full_queue(tmp_path: Path) -> None:
    """It is answered as soon as those before it were taken, and not refused."""
    path, asked = str(tmp_path / "s"), threading.Event()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(1)
        door.settimeout(30)
        before = fill(path)

        def take_all() -> None:
            asked.wait(60)
            for _ in before[:-1]:
                door.accept()[0].close()
            connection, _ = door.accept()
            connection.recv(65536)
            connection.sendall(ANSWER)
            connection.close()

        thread = threading.Thread(target=take_all)
        thread.start()
        assert uvloop.run(ask(path, asked))[0] == 200
        thread.join()
        for each in before:
            each.close()
