"""A waiting room on real stores and a clock that is told to move, for tests that play those who ask."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from asking import SECOND, new_stores

from rota.rules.fold import RunEvent
from rota_collector.api.app import Stores
from rota_collector.domain.admission import Question
from rota_collector.store.leases import Lease
from rota_collector.store.questions import Permission
from rota_collector.watch.waiting import Waiting

ONE = {"gates": [{"kind": "concurrency", "limit": 1}]}


class Rooms:
    """A waiting room on stores of its own; it takes its turns when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.stores: Stores = new_stores(folder)
        self.clock: Any = self.stores.clock
        self.room = Waiting(self.stores.expectations, self.clock)

    def policy(self, workflow: str, **document: Any) -> None:
        self.stores.expectations.policies.put({workflow: document}, author="ada", reason=None, now_ns=self.clock.now_ns())

    def ask(self, run: str, workflow: str = "w", wait: float = 20.0, **more: Any) -> Future[Permission]:
        """Ask, and have the room take its turn."""
        options = {name: more.pop(name) for name in ("ticket", "key", "payload") if name in more}
        answer = self.room.ask(
            Question(workflow, run, **more), options.get("ticket"), options.get("key"), options.get("payload", ""), wait
        )
        self.turns()
        return answer

    def turns(self) -> None:
        while self.room.turn():
            pass

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turns()

    def release(self, permission: Permission) -> None:
        for lease in permission.leases:
            assert self.settled(self.room.release(lease.id, lease.token)) is not None

    def settled(self, answer: Future[Lease | None]) -> Lease | None:
        self.turns()
        return answer.result(0)

    def ran(self, run: str, workflow: str, state: str, at_ns: int = 0, **more: Any) -> None:
        """A run that ended so."""
        at_ns = at_ns or self.clock.now_ns()
        begin = RunEvent(f"{run} begins", run, workflow, "running", at_ns - SECOND)
        end = RunEvent(f"{run} ends", run, workflow, state, at_ns, started_ns=at_ns - SECOND, **more)
        self.stores.control.apply([begin, end], self.stores.control.offset() + 1)
        self.turns()

    def start_again(self) -> None:
        self.room = Waiting(self.stores.expectations, self.clock)

    def decisions(self, run: str) -> list[str]:
        """What was decided of a run, as it will be told."""
        found = []
        _, lines = self.stores.expectations.queued(1000)
        for record in json.loads(f"[{','.join(lines)}]"):
            said = {each["key"]: next(iter(each["value"].values())) for each in record["attributes"]}
            if said["cicd.pipeline.run.id"] == run:
                found.append(said["rota.gate.answer"])
        return found


def answer_of(asked: Future[Permission]) -> str:
    """Its answer; ``…`` while there is none."""
    return asked.result(0).answer if asked.done() else "…"
