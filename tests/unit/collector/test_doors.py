"""Who may speak through the doors for other people's clients, and what is answered when nothing can be kept."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.domain.rate import Rates
from rota_collector.journal import Journal
from rota_collector.receive import lineage, sentry
from rota_collector.receive.doors import Door
from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import Keys

RUN_ID = "0192a4b0-0000-7000-8000-000000000001"


class Place:
    """Both doors on a journal and keys of their own."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.journal = Journal(folder / "journal", clock=self.clock)
        self.control = Control(folder / "control.sqlite")
        self.keys, self.changes = Keys(self.control.path, self.clock), KeyChanges(self.control.engine)
        self.said: list[str] = []
        self.lineage = lineage.door(self.journal, self.keys, self.clock, 64 << 20, Rates(0.2, self.clock.monotonic))
        self.sentry = sentry.door(self.journal, self.keys, self.clock, 64 << 20, self.said.append)

    def key(self, scope: str, pattern: str | None = None) -> str:
        made = self.changes.create(scope, pattern=pattern, now_ns=self.clock.now_ns())
        assert made is not None
        return made[1]

    def told(self, workflow: str, **headers: str) -> tuple[int, Any, dict[bytes, bytes]]:
        """The answer to an OpenLineage event of a run of ``workflow``."""
        job = {"namespace": "default", "name": workflow}
        event = {"eventType": "COMPLETE", "eventTime": "2026-11-01T02:00:00Z", "run": {"runId": RUN_ID}, "job": job}
        return ask(self.lineage, json.dumps(event).encode(), **headers)

    def events(self) -> list[tuple[str, str]]:
        return [(event.workflow, event.run_id) for event in to_rows.run_events(self.journal.read(0, 1 << 20))]


def ask(door: Door, body: bytes, **headers: str) -> tuple[int, Any, dict[bytes, bytes]]:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": named}
    asyncio.run(door(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), dict(sent[0]["headers"])


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    found = Place(tmp_path)
    yield found
    found.journal.close()
    found.keys.close()
    found.control.close()


def test_without_keys_programs_need_none_and_pages_do(place: Place) -> None:
    """While no key guards anything a program is heard, whatever it holds for a key; a page in a browser is not."""
    assert place.told("a", authorization="Bearer anything")[0] == 201
    assert place.told("b", origin="http://evil.example")[0] == 401
    assert place.told("c", origin="http://evil.example", authorization=f"Bearer {place.key('ping')}")[0] == 201
    assert [workflow for workflow, _ in place.events()] == ["a", "c"]


def test_with_keys_everybody_needs_one_of_the_right_kind(place: Place) -> None:
    """Once there is an admin key, a key for pings or one that ingests is asked for; one that was revoked is none."""
    admin, ping = place.key("admin"), place.key("ping")
    for key, status in (("", 401), ("rp_no", 401), (admin, 201), (ping, 201)):
        assert place.told("a", authorization=f"Bearer {key}")[0] == status
    [ping_key] = [key for key in place.changes.all() if key.scope == "ping"]
    place.changes.revoke(ping_key.id, place.clock.now_ns())
    assert place.told("a", authorization=f"Bearer {ping}")[0] == 401


def test_a_limited_key_speaks_of_its_own_workflows_only(place: Place) -> None:
    """A key for lake.* tells nothing of others, and not of somebody else's run by its id either."""
    key = {"authorization": f"Bearer {place.key('ping', 'lake.*')}"}
    assert place.told("crm.load", **key)[0] == 403
    assert place.told("lake.load", **key)[0] == 201
    assert place.events() == [("lake.load", str(uuid.uuid5(uuid.UUID(RUN_ID), "lake.load")))]


def test_what_cannot_be_kept_is_said(place: Place) -> None:
    """A journal that takes nothing is answered 503 with Retry-After: never a false success."""
    place.journal.close()
    status, answer, headers = place.told("a")
    assert (status, answer["error"]["code"], headers[b"retry-after"]) == (503, "unavailable", b"5")


def test_what_is_not_kept_of_sentry_is_said_once(place: Place) -> None:
    """Each type of item that is thrown away is told to whoever watches, once, and counted in the answer."""
    body = b'{}\n{"type":"event"}\n{}\n{"type":"event"}\n{}\n{"type":"' + b"x" * 1000 + b'"}\n{}'
    for _ in range(2):
        assert ask(place.sentry, body)[:2] == (200, {"ignored": {"event": 2, "other": 1}})
    assert len(place.said) == 2
    assert place.events() == []


def test_a_key_may_not_knock_all_the_time(place: Place) -> None:
    """Too often is 429, with when to come again; it takes nothing from others."""
    key, other = f"Bearer {place.key('ping')}", f"Bearer {place.key('ping')}"
    assert [place.told("a", authorization=key)[0] for _ in range(3)] == [201, 201, 429]
    status, answer, headers = place.told("a", authorization=key)
    assert (status, answer["error"]["code"], headers[b"retry-after"]) == (429, "too_often", b"5")
    assert place.told("a", authorization=other)[0] == 201
    place.clock.advance(5)
    assert place.told("a", authorization=key)[0] == 201
