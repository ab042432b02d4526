"""Thousands of questions held open at once over HTTP: nobody is lost, and all are woken in the order in which they asked.

Some hundred in `make test`; more than the 8,000 that a collector holds in `make soak` (each a connection of its own: it wants
20,000 files a process).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from chaos.kept import Kept
from collectors import CollectorProcess, until

from rota_collector.watch.waiting import MOST_HELD

POLICY = {"gates": [{"kind": "concurrency", "limit": 1, "scope": "hall"}]}
AT_ONCE = 200  # that connect
HEAD = (
    "POST /api/v1/permission HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    "connection: close\r\ncontent-length: {length}\r\n\r\n"
)


class Crowd:
    """So many runs, each of which asks until it may go. ``answers``: how often each answer was heard."""

    def __init__(self, collector: CollectorProcess, many: int) -> None:
        self._host, _, self._port = collector.addresses["http"].rpartition(":")
        self._collector, self._many = collector, many
        self._door = asyncio.Semaphore(AT_ONCE)
        self.answers = {"go": 0, "wait": 0}
        self.patient = set[str]()  # runs that never were told to ask again
        self.open = self.most_open = 0
        self.seconds = 0.0

    async def play(self, enough: int) -> None:
        """Ask; once ``enough`` questions are open at once, and that many are known to wait, make room for all."""
        everybody = [asyncio.ensure_future(self._run(str(uuid.uuid4()))) for _ in range(self._many)]
        while self.open < enough or await asyncio.to_thread(_waiting, self._collector) < enough:
            await asyncio.sleep(0.2)
            failed = [each.exception() for each in everybody if each.done() and each.exception()]
            assert not failed, failed[0]
        began = time.monotonic()
        await asyncio.to_thread(self._make_room)
        await asyncio.gather(*everybody)
        self.seconds = time.monotonic() - began

    def _make_room(self) -> None:
        pool = {"limit": 1_000_000}
        httpx.put(f"{self._collector.url}/api/v1/pools/hall", json=pool, trust_env=False, timeout=600).raise_for_status()

    async def _run(self, run_id: str) -> None:
        ticket = None
        while True:
            found = await self._ask({"workflow": "crowd", "run_id": run_id, "ticket": ticket, "wait_seconds": 30})
            self.answers[found["answer"]] += 1
            if found["answer"] == "go":
                self.patient |= {run_id} if ticket is None else set()
                return
            ticket = found["ticket"]
            await asyncio.sleep(0.1)

    async def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(question)
        async with self._door:
            reader, writer = await asyncio.open_connection(self._host, int(self._port))
            writer.write((HEAD.format(length=len(body)) + body).encode())
            await writer.drain()
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        head, _, said = (await reader.read()).partition(b"\r\n\r\n")
        self.open -= 1
        writer.close()
        assert head.startswith(b"HTTP/1.1 200"), (head, said)
        return json.loads(said)  # type: ignore[no-any-return]


def _waiting(collector: CollectorProcess) -> int:
    """How many have been told to wait, or are about to be, as it is on disk."""
    ((many,),) = _rows(collector.home, "SELECT count(*) FROM questions WHERE answer = 'wait'")
    return int(many)


def _rows(home: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(f"file:{home / 'control.sqlite'}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def _megabytes(collector: CollectorProcess) -> list[float]:
    """The most that the front, and those that it started, ever had in memory."""
    found = []
    for pid in (collector.process.pid, *collector.keepers()):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        found.append(next(round(int(line.split()[1]) / 1024, 1) for line in lines if line.startswith("VmHWM")))
    return found


@pytest.mark.parametrize("many", [400, pytest.param(8_300, marks=pytest.mark.soak)])
def test_nobody_who_waits_is_lost(many_files, new_collector, pytestconfig: pytest.Config, many: int) -> None:
    """Each run goes, with a lease of its own, and the tokens are in the order of the questions. Who is told to ask again, since
    more ask than are held, or for too long, keeps the place as well, but for those who then are late.
    """
    collector = new_collector().start()
    collector.put("/api/v1/workflows/crowd/policy", POLICY)
    before = _megabytes(collector)
    crowd = Crowd(collector, many)
    asyncio.run(crowd.play(min(many, MOST_HELD) - 1))
    assert crowd.answers["go"] == many
    assert until(lambda: len(collector.item("/leases", scope="pool hall", limit=1)["items"]), "the leases") == 1
    query = "SELECT leases.run_id, asked_ns, token FROM leases JOIN questions USING (ticket) ORDER BY token"
    granted = _rows(collector.home, query)
    assert len(granted) == len({token for _, _, token in granted}) == many
    in_order = [asked_ns for run_id, asked_ns, _ in granted if run_id in crowd.patient]
    assert in_order == sorted(in_order)
    assert many > MOST_HELD or len(in_order) == many
    if many > MOST_HELD:
        told = {
            "questions": many,
            "open_at_once": crowd.most_open,
            "held_at_most": MOST_HELD,
            "told_to_ask_again": crowd.answers["wait"],
        }
        memory = {"megabytes_before": before, "megabytes_at_most": _megabytes(collector)}
        Kept("held", pytestconfig).keep({**told, "woken_seconds": round(crowd.seconds, 1), **memory}, f"held: {told}")
