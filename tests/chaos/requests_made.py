"""Requests made from the OpenAPI document, good and bad, by askers with and without keys, and what must hold of every answer."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import otlp
import requests
import schemathesis
from collectors import CollectorProcess, until
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

_SHUT = ("/api/v1/", "/metrics")  # what begins so is for who has a key
_CHECKS = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]
_STRANGERS: dict[str | None, str] = {None: "", "nobody": "no-such-key", "nobody, with a blank": "no-such-key "}
_LOCAL = ("json://127.0.0.1:9/", "http://127.0.0.1:9/")  # where a channel of a test may lead
_LIMITED = ("/api/v1/pools/{name}",)  # where the path alone may be what the document does not allow
_SECONDS = 30.0


class Asking:
    """A collector with something of everything in it, and who asks it. ``problems``: what was wrong, in words."""

    def __init__(self, collector: CollectorProcess) -> None:
        self._collector = collector
        self._session = requests.Session()
        self._session.trust_env = False
        self.askers = dict(_STRANGERS)
        self.statuses: Counter[int] = Counter()
        self.good: set[str] = set()  # operations with a good answer
        self.problems: list[str] = []
        self.known = self._fill()
        document = requests.get(f"{collector.url}/api/v1/openapi.json", timeout=_SECONDS).json()
        schema = schemathesis.openapi.from_dict(document)
        schema.config.generation.allow_extra_parameters = False  # what nobody reads may be sent
        self.operations = [found.ok() for found in schema.get_all_operations()]

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def _fill(self) -> dict[str, list[str]]:
        """Runs, one of them with an incident, and keys; what the parts of paths are called that lead to something."""
        now, there = time.time_ns(), self._collector
        there.send(*otlp.whole_run(1), otlp.state(2, "running", now - 10**9), otlp.state(2, "failed", now), otlp.log(1, "a line"))
        there.send_spans(otlp.task(1, 1, "load"))
        there.applied()
        incidents = until(lambda: there.item("/incidents")["items"], "an incident of the run that failed")
        badge = there.post("/api/v1/keys", {"scope": "ping"}).json()
        self.askers["admin"] = there.key = there.post("/api/v1/keys", {"scope": "admin"}).json()["key"]
        for scope in ("read", "operate", "ingest"):
            self.askers[scope] = self._make_key({"scope": scope})["key"]
        self.askers["of few"] = self._make_key({"scope": "operate", "patterns": ["etl.*"]})["key"]
        there.post("/api/v1/channels", {"name": "known", "url": _LOCAL[0]})
        ids = [otlp.run_id(1), otlp.run_id(2)]
        return {
            "run_id": ids, "name": ["etl.nightly", "known"], "incident_id": [incidents[0]["id"]], "span_id": [otlp.span_id(1, 1)],
            "key_id": [badge["id"], self._make_key({"scope": "ingest"})["id"]],
        }  # fmt: skip

    def _make_key(self, asked: dict[str, Any]) -> Any:
        return self._collector.post("/api/v1/keys", asked).json()

    def _headers(self, asker: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.askers[asker]}"} if asker else {}

    # -- one request -----------------------------------------------------------------------------------------------

    def ask(self, operation: Any, requests_wanted: int, number: int) -> None:
        """So many requests to one endpoint, those of this number."""

        @seed(number)
        @settings(max_examples=requests_wanted, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.data())
        def some(data: st.DataObject) -> None:
            case, is_good = self._drawn(operation, data.draw)
            asker = data.draw(st.sampled_from([*["admin"] * 6, *reversed(self.askers)]))
            self.problems += [f"{case.as_curl_command()}, as {asker}: {each}" for each in self._wrong(case, asker, is_good)]

        some()

    def _drawn(self, operation: Any, draw: Callable[[Any], Any]) -> tuple[Any, bool]:
        """A request, and whether the document allows it."""
        is_good = draw(st.sampled_from([True, True, False]))
        negatable = bool(operation.path_parameters or operation.query or operation.headers or operation.body)
        assume(is_good or negatable)
        case = draw(operation.as_strategy(GenerationMode.POSITIVE if is_good else GenerationMode.NEGATIVE))
        is_limited = operation.path in _LIMITED and not is_good
        for name in case.path_parameters or {}:
            if name in self.known and not is_limited and draw(st.booleans()):
                case.path_parameters[name] = draw(st.sampled_from(self.known[name]))
        if isinstance(case.body, dict) and isinstance(case.body.get("url"), str):
            case.body["url"] = draw(st.sampled_from(_LOCAL))
        return case, is_good

    def _wrong(self, case: Any, asker: str | None, is_good: bool) -> Iterator[str]:
        """What is wrong with the answer to a request."""
        asked = case.as_transport_kwargs(base_url=self._collector.url, headers=self._headers(asker))
        with self._session.request(**asked, timeout=_SECONDS, stream=True) as answer:
            self.statuses[answer.status_code] += 1
            if answer.ok:
                self.good.add(case.operation.label)
                if answer.headers["content-type"].startswith("text/event-stream"):
                    return  # it goes on for an hour
            if asker in _STRANGERS and case.operation.path.startswith(_SHUT) and answer.status_code != 401:
                yield f"{answer.status_code} for who has no key: {answer.text[:300]}"
            yield from self._wrong_answer(case, answer)
            if not is_good and isinstance(case.body, dict) and answer.ok and asker == "admin":
                yield from _failures(case, answer, [checks.negative_data_rejection])

    def _wrong_answer(self, case: Any, answer: requests.Response) -> Iterator[str]:
        declared = case.operation.definition.raw["responses"]
        if answer.status_code >= 500 and str(answer.status_code) not in declared:
            yield f"{answer.status_code}: {answer.text[:500]}"
        if answer.status_code >= 400 and str(answer.status_code) not in declared:
            try:
                is_told = set(answer.json()["error"]) == {"code", "message", "hint"}
            except (ValueError, LookupError, TypeError):
                is_told = False
            if not is_told:
                yield f"{answer.status_code} without the envelope: {answer.text[:300]}"
        yield from _failures(case, answer, _CHECKS)


def _failures(case: Any, answer: requests.Response, wanted: Sequence[Any]) -> Iterator[str]:
    try:
        case.validate_response(answer, checks=wanted)
    except FailureGroup as failed:
        yield from (f"{answer.status_code}: {each}" for each in failed.exceptions)
    except Failure as failed:
        yield f"{answer.status_code}: {failed}"
