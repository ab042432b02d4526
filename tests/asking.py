"""The API without a network: requests go straight into the application, on stores of its own."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jsonschema

from rota_collector.api.app import Stores, Tails, create
from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.journal import Record, Signal
from rota_collector.store import events
from rota_collector.store.alerts import Alerts
from rota_collector.store.control import Control
from rota_collector.store.expectations import Expectations
from rota_collector.watch.waiting import Waiting

SECOND = 10**9
T0 = 1_790_000_000 * SECOND  # 2026-09-21T14:13:20Z


class Telemetry:
    """Answers as the DuckDB store does; ``answer`` is what a query gives, or the error it raises."""

    answer: object = SimpleNamespace(columns=["n"], rows=[(1,)], truncated=False)

    def __init__(self, tasks: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self.tasks = tasks or {}
        self.attributes: dict[str, dict[str, Any]] = {}  # by run

    def run_tasks(self, run_id):
        return self.tasks.get(run_id, [])

    def run_attempts(self, run_id):
        return []

    def run_attributes(self, run_id):
        return self.attributes.get(run_id, {})

    def run_spans(self, run_id):
        return []

    def run_logs(self, run_id, filters, limit):
        return []

    def sql(self, query):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Progress:
    """A store that follows the journal, or does not."""

    def __init__(self) -> None:
        self.lag_bytes, self.lag_seconds, self.trouble, self.alive = 0, 0.0, None, True

    def is_alive(self):
        return self.alive


class Nothing:
    """A journal without records."""

    def read(self, offset, max_bytes):
        return []


class Sender:
    """Sends nothing: what is sent, and how, is tested with real receivers."""

    def check(self, url):
        return url

    def send_now(self, channel, message):
        raise NotImplementedError


class AtOnce(Waiting):
    """A waiting room that takes its turns in the thread that asks."""

    def _do(self, act, answer=None):
        super()._do(act, answer)
        while self.turn():
            pass


def new_stores(folder: Path, telemetry: Telemetry | None = None) -> Stores:
    """Empty stores in ``folder``, at the time T0; what happens to runs is noted as in a collector."""
    control, clock = Control(folder / "control.sqlite"), ManualClock(T0)
    expectations = Expectations(control.engine, clock)
    control.observer = expectations
    progress, alerts = (Progress(), Progress()), Alerts(control.engine)

    def submit(records: Sequence[str]) -> int:
        """As the journal and its follower would, at once."""
        offset = control.offset()
        record = Record(offset, offset + 1, Signal.LOGS_JSON, clock.now_ns(), events.line(list(records)))
        control.apply(to_rows.run_events([record]), offset + 1)
        return offset

    tails, room = Tails(Nothing(), lambda: 0, lambda: False), AtOnce(expectations, clock)
    return Stores(
        control,
        telemetry or Telemetry(),
        *progress,
        clock,
        expectations,
        alerts,
        Sender(),
        tails,
        folder / "exports",
        room,
        submit,
    )


class Api:
    """The API on ``stores``."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self._app = create(stores, "1.2.3")

    def __call__(self, method: str, path: str, host: str = "127.0.0.1:4318", **options: Any) -> httpx.Response:
        """Send one request; returns the answer."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def item(self, path: str, **parameters: Any) -> Any:
        """The content of a good answer to GET, which is as the OpenAPI document says."""
        return self._good("GET", path, self("GET", "/api/v1" + path, params=parameters))

    def change(self, method: str, path: str, asked: Any = None, **options: Any) -> Any:
        """The content of a good answer to a change, likewise."""
        options = options if asked is None else {"json": asked, **options}
        return self._good(method, path, self(method, "/api/v1" + path, **options))

    def refusal(self, method: str, path: str, **options: Any) -> tuple[int, str, str]:
        """(status, code, message) of an answer that is not good."""
        answer = self(method, "/api/v1" + path, **options)
        error = answer.json()["error"]
        assert set(error) == {"code", "message", "hint"}
        return answer.status_code, error["code"], error["message"]

    @cached_property
    def document(self) -> Any:
        """The OpenAPI document."""
        return self("GET", "/api/v1/openapi.json").json()

    def _good(self, method: str, path: str, answer: httpx.Response) -> Any:
        assert answer.status_code == 200, answer.text
        said = self._operation(method, "/api/v1" + path)["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), {**said, "components": self.document["components"]})
        return answer.json()

    def _operation(self, method: str, path: str) -> Any:
        """What the document says about a request: of the templates that match it, the one with the most text."""
        fitting = [each for each in self.document["paths"] if re.fullmatch(re.sub(r"\\{\w+\\}", ".+", re.escape(each)), path)]
        fitting = [each for each in fitting if method.lower() in self.document["paths"][each]]
        return self.document["paths"][max(fitting, key=lambda each: len(re.sub(r"\{\w+\}", "", each)))][method.lower()]
