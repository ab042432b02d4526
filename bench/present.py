"""What happens now at a collector with a history: policies all along the spectrum, runs that wait, hold and were tried again.

Told to a real collector over HTTP, as people, hosts and scripts tell it.
"""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from typing import Any, NamedTuple
from urllib.parse import quote

from rota.wire import events, names

S = 10**9

# workflow → (author, why, what is added to its policy)
POLICIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "crm.sync": ("jonas", "the CRM drops connections at full hours", {"retry": {"attempts": 3, "wait": "30s", "backoff": 2}}),
    "sync.inventory": ("maya", "promote to retry", {"retry": {"attempts": 2, "wait": "60s"}}),
    "report.kpi": (
        "ines", "no figures without orders",
        {"gates": [{"kind": "upstream", "workflow": "ingest.orders", "fresh_within": "24h"}]},
    ),
    "etl.warehouse": (
        "maya", "two at once deadlock in the warehouse",
        {"retry": {"attempts": 3, "wait": "5s", "on": ["psycopg.OperationalError"]},
         "gates": [{"kind": "concurrency", "limit": 1}, {"kind": "breaker", "failures": 5, "within": "24h", "cool_down": "6h"}]},
    ),
    "billing.invoices": (
        "ada", "finance signs off",
        {"gates": [{"kind": "concurrency", "limit": 2, "scope": "billing"}, {"kind": "approval", "within": "4h"}]},
    ),
    "ml.train_churn": (
        "jonas", "it takes the GPU for a night", {"gates": [{"kind": "approval", "role": "admin", "within": "1h"}]},
    ),
    "ml.features": ("jonas", "the loaders may be stopped", {"tasks": {"load_*": {"permit": True}, "train": {"permit": True}}}),
    "ml.embeddings": ("jonas", "every step asks", {"gates": [{"kind": "host", "memory_free": "2GB"}],
                                                   "tasks": {"*": {"permit": True}}}),
}  # fmt: skip


class Present(NamedTuple):
    """Runs that are worth a look."""

    waiting: str  # for a person's word
    held: str  # holds the only place of its workflow
    second: str  # waits for it
    retried: str  # was tried three times, and asked each time


def tell(url: str) -> Present:
    """Tell the collector at ``url`` all of it."""
    return _Telling(url).everything()


class _Telling:
    def __init__(self, url: str) -> None:
        self._url, self._now_ns = url, time.time_ns()

    def everything(self) -> Present:
        for workflow, (author, why, added) in POLICIES.items():
            self._put(workflow, author, why, added)
        retried = self._retried("etl.warehouse")
        held = self._asks("etl.warehouse", "etl-2", ago=94)
        second, _ = self._asks("etl.warehouse", "etl-1", ago=41), self._asks("etl.warehouse", "etl-2", ago=12)
        waiting = self._asks("billing.invoices", "app-1", ago=25)
        self._asks("ml.train_churn", "ml-1", ago=9)
        return Present(waiting, held, second, retried)

    def _put(self, workflow: str, author: str, why: str, added: dict[str, Any]) -> None:
        path = f"/api/v1/workflows/{quote(workflow, safe='')}/policy"
        stored = self._call("GET", path)["stored"] or {}
        self._call("PUT", f"{path}?author={quote(author)}&reason={quote(why)}", {**stored, **added})

    def _asks(self, workflow: str, host: str, ago: float) -> str:
        """A run that asks for permission, and says that it runs, or that it is blocked."""
        run_id, at_ns = str(uuid.uuid4()), self._now_ns - round(ago * S)
        answer = self._ask(workflow, run_id, host, 1)
        state = "running" if answer["answer"] == "go" else "blocked"
        self._say(workflow, run_id, host, [(at_ns, state, 1, {names.REASON: None if state == "running" else answer["reason"]})])
        return run_id

    def _retried(self, workflow: str) -> str:
        """A run whose first two attempts failed; each asked, and gave back what it was granted."""
        run_id, host = str(uuid.uuid4()), "etl-2"
        failed = {
            names.REASON: "exit", names.PROCESS_EXIT_CODE: 1, names.ERROR_TYPE: "psycopg.OperationalError",
            names.EXCEPTION_MESSAGE: "deadlock detected",
        }  # fmt: skip
        told: list[tuple[int, str, int, dict[str, Any]]] = []
        at_ns = self._now_ns - 200 * S
        for attempt, (state, seconds) in enumerate((("retry_wait", 4), ("retry_wait", 3), ("succeeded", 112)), 1):
            for lease in self._ask(workflow, run_id, host, attempt)["leases"]:
                self._call("POST", f"/api/v1/leases/{lease['id']}/release", {"token": lease["token"]})
            told.append((at_ns, "running", attempt, {}))
            told.append((at_ns + seconds * S, state, attempt, failed if state == "retry_wait" else {names.PROCESS_EXIT_CODE: 0}))
            at_ns += (seconds + 5) * S
        self._say(workflow, run_id, host, told)
        return run_id

    def _ask(self, workflow: str, run_id: str, host: str, attempt: int) -> Any:
        return self._call(
            "POST", "/api/v1/permission", {"workflow": workflow, "run_id": run_id, "host": host, "attempt": attempt}
        )

    def _say(self, workflow: str, run_id: str, host: str, told: list[tuple[int, str, int, dict[str, Any]]]) -> None:
        trace, records = run_id.replace("-", ""), []
        for at_ns, state, attempt, more in told:
            pairs = {
                names.EVENT_ID: str(uuid.uuid4()), names.WORKFLOW: workflow, names.RUN_ID: run_id, names.STATE: state,
                names.ATTEMPT: attempt, names.SOURCE: "exec", names.HOST_NAME: host,
                **{key: value for key, value in more.items() if value is not None},
            }  # fmt: skip
            records.append(events.log_record(at_ns, names.RUN_STATE_EVENT, trace, trace[:15] + str(attempt), pairs))
        resource = events.resource({names.HOST_NAME: host})
        line = events.logs_line(resource, events.scope("0", {names.RUN_ID: run_id, names.WORKFLOW: workflow}), records)
        self._call("POST", "/v1/logs", json.loads(line))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())
