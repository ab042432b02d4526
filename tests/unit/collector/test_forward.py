"""Forwarding from a journal to a scripted receiver."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import otlp
import pytest
from collectors import until
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_receiver import Receiver, Reply, receiver

from rota_collector import targets
from rota_collector.clock import SystemClock
from rota_collector.journal import Journal, Signal
from rota_collector.watch.forward import Forwarding


class Near:
    """A journal and what forwards it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.journal = Journal(home / "journal", clock=SystemClock())
        self.said: list[str] = []
        self.forwarding: Forwarding | None = None

    def start(self, forward: str, headers: str = "") -> Near:
        named = targets.read(forward, headers, {})
        self.forwarding = Forwarding(named, self.journal, self._home / "forward", SystemClock(), self.said.append)
        self.forwarding.start()
        return self

    def send(self, *records: otlp.Record) -> None:
        self.journal.append_blocking(Signal.LOGS_JSON, json.dumps(otlp.logs(records)).encode())

    def send_spans(self, *spans: otlp.Record) -> None:
        self.journal.append_blocking(Signal.TRACES_JSON, json.dumps(otlp.spans(spans)).encode())

    def progress(self, target: str = "default") -> dict[str, Any]:
        assert self.forwarding is not None
        return self.forwarding.progress()[target]

    def drained(self, target: str = "default") -> dict[str, Any]:
        until(lambda: self.progress(target)["lag_bytes"] == 0, "everything to be forwarded")
        return self.progress(target)

    def close(self) -> None:
        if self.forwarding is not None:
            self.forwarding.stop(5)
        self.journal.close()


@pytest.fixture
def near(tmp_path: Path) -> Iterator[Near]:
    found = Near(tmp_path)
    yield found
    found.close()


@pytest.fixture
def backend() -> Iterator[Receiver]:
    with receiver() as found:
        found.answer = lambda path, body: Reply(is_rota=False, body=b"")
        yield found


def texts(body: bytes) -> list[str]:
    """The bodies of the log records in one request."""
    logs = ExportLogsServiceRequest.FromString(gzip.decompress(body))
    scopes = [scope for resource in logs.resource_logs for scope in resource.scope_logs]
    return [log.body.string_value for scope in scopes for log in scope.log_records]


def delivered(backend: Receiver, path: str = "/v1/logs") -> list[str]:
    return [text for where, body in backend.delivered if where == path for text in texts(body)]


def test_requests_are_what_the_specification_says(near: Near, backend: Receiver) -> None:
    """A backend gets gzipped protobuf at its own path, with the headers that were set."""
    near.start(backend.url + "/otlp", "authorization=Bearer%20t")
    near.send_spans(otlp.task(0, 1, "load"))
    near.drained()
    [(path, body, headers)] = backend.requests
    assert (path, headers["Content-Type"], headers["Content-Encoding"], headers["Authorization"]) == (
        "/otlp/v1/traces", "application/x-protobuf", "gzip", "Bearer t",
    )  # fmt: skip
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
    assert request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex() == otlp.run_id(0).replace("-", "")


def test_small_requests_travel_together(near: Near, backend: Receiver) -> None:
    """What came in many requests while the backend was away goes on in few, in the order in which it came."""
    backend.answer = lambda path, body: Reply(503, body=b"")
    near.start(backend.url)
    for n in range(50):
        near.send(otlp.log(0, f"line {n}"))
    backend.answer = lambda path, body: Reply(is_rota=False, body=b"")
    near.drained()
    assert delivered(backend) == [f"line {n}" for n in range(50)]
    assert len(backend.delivered) <= 10


@pytest.mark.parametrize("status", [429, 502, 503, 504, 401])
def test_a_backend_that_says_later_gets_everything_later(near: Near, backend: Receiver, status: int) -> None:
    """A retryable answer, or a token that it does not know, is told, and nothing is lost."""
    backend.answer = lambda path, body: Reply(status, body=b"not now", headers=(("Retry-After", "0"),))
    near.start(backend.url)
    near.send(otlp.log(0, "kept"))
    trouble = until(lambda: near.progress()["trouble"], "the trouble to be told")
    assert f"answers {status}: not now" in trouble
    assert near.progress()["lag_bytes"] > 0
    backend.answer = lambda path, body: Reply(is_rota=False, body=b"")
    assert near.drained()["trouble"] is None
    assert delivered(backend) == ["kept"]


def test_only_the_poisoned_request_is_passed_over(near: Near, backend: Receiver) -> None:
    """A request that the backend refuses is counted and said, and those that travelled with it arrive, once."""

    def answer(path: str, body: bytes) -> Reply:
        if not backend.asked > 1:
            return Reply(503, body=b"")  # until all of them wait
        return Reply(400, body=b"no such thing") if "poison" in texts(body) else Reply(is_rota=False, body=b"")

    backend.answer = answer
    near.start(backend.url)
    for n in range(20):
        near.send(otlp.log(0, "poison" if n == 13 else f"line {n}"))
    assert near.drained()["refused_requests"] == 1
    assert delivered(backend) == [f"line {n}" for n in range(20) if n != 13]
    assert "passed over" in near.said[-1]
    assert "400 no such thing" in near.said[-1]


def test_what_a_backend_rejects_of_a_request_is_counted(near: Near, backend: Receiver) -> None:
    """A partial success is a success; the number of what was rejected, and why, is told."""
    partial = {"rejected_log_records": 3, "error_message": "too old"}
    answer = ExportLogsServiceResponse(partial_success=partial).SerializeToString()
    backend.answer = lambda path, body: Reply(is_rota=False, body=answer)
    near.start(backend.url)
    near.send(otlp.log(0, "old"))
    assert near.drained()["rejected_items"] == 3
    assert "but for 3 of them: too old" in near.said[-1]
    assert len(backend.delivered) == 1


def test_each_target_goes_its_own_way(near: Near, backend: Receiver, tmp_path: Path) -> None:
    """A target that is away holds up neither another target nor an acknowledgement; each gets its signals only."""
    path = tmp_path / "forward.toml"
    path.write_text(f'[gone]\nendpoint = "http://127.0.0.1:9"\n[traces]\nendpoint = "{backend.url}"\nsignals = ["traces"]\n')
    near.start(str(path))
    near.send(*otlp.whole_run(0))
    near.send_spans(otlp.task(0, 1, "load"))
    near.drained("traces")
    assert [path for path, _ in backend.delivered] == ["/v1/traces"]
    gone = near.progress("gone")
    assert gone["lag_bytes"] > 0
    assert "does not answer" in until(lambda: near.progress("gone")["trouble"], "trouble")


def test_a_new_target_begins_where_it_says(near: Near, backend: Receiver, tmp_path: Path) -> None:
    """What the journal already holds goes only to a target that asks for it."""
    near.send(otlp.log(0, "before"))
    path = tmp_path / "forward.toml"
    path.write_text(f'[all]\nendpoint = "{backend.url}/all"\nbegin = "journal"\n[new]\nendpoint = "{backend.url}/new"\n')
    near.start(str(path)).send(otlp.log(0, "after"))
    near.drained("all")
    near.drained("new")
    assert delivered(backend, "/all/v1/logs") == ["before", "after"]
    assert delivered(backend, "/new/v1/logs") == ["after"]


def test_it_goes_on_where_it_stood(near: Near, backend: Receiver) -> None:
    """After a stop nothing is sent that the backend has, and nothing is left out; a cursor for retention says how far."""
    near.start(backend.url).send(otlp.log(0, "one"))
    near.drained()
    assert near.forwarding is not None
    assert near.forwarding.cursors() == {"default": near.journal.durable_end}
    near.forwarding.stop(5)
    near.send(otlp.log(0, "two"))
    near.start(backend.url).drained()
    assert delivered(backend) == ["one", "two"]


def test_a_huge_request_goes_in_pieces(near: Near, backend: Receiver) -> None:
    """A request of many megabytes is cut between its records, as receivers limit what they take."""
    near.start(backend.url).send(*(otlp.log(0, f"{n} " + "x" * 50_000) for n in range(100)))
    near.drained()
    assert [text.split()[0] for text in delivered(backend)] == list(map(str, range(100)))
    assert max(len(gzip.decompress(body)) for _, body in backend.delivered) < 4 << 20


def test_a_silent_backend_does_not_hold_up_the_end(near: Near, backend: Receiver) -> None:
    """To stop does not wait for a backend that never answers; what was under way is sent again by the next start."""
    released = threading.Event()

    def late(path: str, body: bytes) -> Reply:
        released.wait(20)
        return Reply(is_rota=False, body=b"")

    backend.answer = late
    near.start(backend.url).send(otlp.log(0, "under way"))
    until(lambda: backend.asked, "a request to be under way")
    silent = near.forwarding
    assert silent is not None
    silent.stop(0.1)
    assert silent.cursors() == {"default": 0}
    near.start(backend.url)
    until(lambda: backend.asked == 2, "the same to be sent again")
    released.set()
    near.drained()
    silent.stop(20)
    assert delivered(backend) == ["under way", "under way"]
