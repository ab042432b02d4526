"""The REST API of ActiveBatch, as far as it is publicly known, as the product is closed.

Known are: the states of instances and what they mean (documentation.activebatch.com, "Instance States"); the login, the list of
instances, its parameters, pages and statuses, and the fields of an instance, from a public client of the API and its recorded
answer (github.com/agenovia/ActiveBatchAPIGateway: ``backend/middlewares/login.py``, ``backend/routes/user_defined.py``,
``backend/instances.json``). What follows what in the life of an instance is as its documentation tells it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standins.serving import Answering, serving

NEVER = "0001-01-01T00:00:00.000"
OVER = ("succeeded", "failed", "aborted", "notRun")


def now() -> str:
    """UTC, without saying so."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


class ActiveBatch:
    """Instances, and who may log in."""

    def __init__(self) -> None:
        self.instances: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.logins = 0
        self.asked: list[dict[str, str]] = []

    def trigger(self, path: str, kind: str = "job", batch: int = 0, at: str = "") -> dict[str, Any]:
        """An instance is made; those of a plan have its batch run id."""
        number = 1000 + len(self.instances)
        key = {"id": number, "name": path.rpartition("/")[2], "label": path.rpartition("/")[2], "type": kind, "path": path}
        made = {
            "key": key, "template": {**key, "id": 18147, "revisionNumber": 6}, "stateDescription": "", "state": "waiting",
            "stateDetail": "waitingQueueBusy", "beginExecutionTime": NEVER, "endExecutionTime": NEVER, "templatePID": 0,
            "targetTemplateId": 18147, "templateId": 18147, "batchId": batch or number, "predecessorId": 0,
            "creationTime": at or now(), "expectedExecutionTime": at or now(), "exitCode": 0, "exitCodeDescription": "",
            "queueId": 7, "queueName": "nightly", "restartTime": NEVER, "restartCount": 0,
        }  # fmt: skip
        self.instances.append(made)
        return made

    def becomes(self, instance: dict[str, Any], state: str, detail: str = "", exit_code: int = 0) -> None:
        """A state, and the times that go with it."""
        instance.update(state=state, stateDetail=detail or state, exitCode=exit_code)
        if state == "executing":
            instance.update(beginExecutionTime=now(), endExecutionTime=NEVER)
        elif state in OVER:
            instance.update(endExecutionTime=now())

    def restart(self, instance: dict[str, Any]) -> None:
        """A failure that is "set to restart after n seconds" does."""
        instance.update(restartCount=instance["restartCount"] + 1, restartTime=now())
        self.becomes(instance, "executing")

    def login(self, content: dict[str, Any]) -> tuple[int, Any]:
        """``POST /login``."""
        wanted = {"username": "rota", "password": "geheim", "jobScheduler": "scheduler"}
        if any(content.get(name) != value for name, value in wanted.items()) or not re.fullmatch(
            r"\d{3}\.\d\d:\d\d:\d\d", content.get("validFor", "")
        ):
            return 401, {"message": "unauthorized"}
        self.logins += 1
        self.tokens = {f"token-{self.logins}"}
        return 200, {"token": f"token-{self.logins}"}

    def listed(self, query: dict[str, str], token: str) -> tuple[int, Any]:
        """``GET /instances``: of an object and what is in it, in pages; 204 where there are none."""
        if token not in self.tokens:
            return 401, {"message": "unauthorized"}
        self.asked.append(query)
        path, since = query["templateId"], query["startDate"].rstrip("Z")
        found = [each for each in self.instances if within(each["key"]["path"], path) and each["creationTime"] >= since]
        found.sort(key=lambda each: each["creationTime"], reverse=query.get("oldestFirst", "false").lower() != "true")
        size, index = int(query.get("pageSize", 10)), int(query.get("pageIndex", 1))
        page = found[(index - 1) * size : index * size]
        return (200, page) if page else (204, None)


def within(path: str, outer: str) -> bool:
    return path == outer or path.startswith(outer.rstrip("/") + "/")


@contextmanager
def serve(activebatch: ActiveBatch) -> Iterator[str]:
    """Its URL, for the length of a block."""

    class Handler(Answering):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            assert parts.path == "/activebatch/api/v1/instances"
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.answer(*activebatch.listed(query, self.headers.get("Authorization", "").removeprefix("Bearer ")))

        def do_POST(self) -> None:
            assert self.path == "/activebatch/api/v1/login"
            self.answer(*activebatch.login(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

    with serving(Handler) as url:
        yield f"{url}/activebatch/api/v1"
