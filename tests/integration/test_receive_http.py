"""OTLP over HTTP: what is answered to whom, and that a 200 means kept."""

from __future__ import annotations

import asyncio
import gzip
import importlib
import json
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from otlp_messages import log, logs, span, to_json, traces

from rota_collector import __version__, _files
from rota_collector.clock import ManualClock
from rota_collector.journal import Journal, Signal
from rota_collector.receive.otlp import Receiver

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
PROTOBUF, JSON = "application/x-protobuf", "application/json"
MAX_BODY = 1 << 20
BOTH = pytest.mark.parametrize("content_type", [PROTOBUF, JSON])

TRACES = {PROTOBUF: traces(span(1)).SerializeToString(), JSON: to_json(traces(span(1)))}
BROKEN = {PROTOBUF: b"\xff\xff", JSON: b'{"resourceSpans": 5}'}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal", clock=ManualClock())
    yield opened
    opened.close()


@pytest.fixture
def post(journal: Journal) -> Iterator[Callable[..., httpx.Response]]:
    """Sends one request to a receiver on the journal."""
    receiver = Receiver(journal, max_body=MAX_BODY, asking=lambda: 7)

    def send(
        content: Any, content_type: str | None = PROTOBUF, path: str = "/v1/traces", method: str = "POST", **headers: str
    ) -> httpx.Response:
        async def request() -> httpx.Response:
            about = {name.replace("_", "-"): value for name, value in headers.items()}
            transport = httpx.ASGITransport(receiver)
            async with httpx.AsyncClient(transport=transport, base_url="http://collector") as client:
                return await client.request(
                    method, path, content=content, headers=about | ({"content-type": content_type} if content_type else {})
                )

        return asyncio.run(request())

    yield send
    receiver.close()


def kept(journal: Journal) -> list[tuple[Signal, bytes]]:
    return [(record.signal, record.payload) for record in journal.read(0, 1 << 30)]


def status_of(response: httpx.Response) -> Status:
    """The google.rpc.Status in a body, in the encoding that the answer says it has."""
    if response.headers["content-type"] == PROTOBUF:
        return Status.FromString(response.content)
    body = response.json()
    return Status(code=body["code"], message=body["message"])


@BOTH
@pytest.mark.parametrize("parameters", ["", "; charset=utf-8", " ;Charset=UTF-8"])
def test_a_request_is_kept_as_sent_and_answered_alike(
    post: Callable[..., httpx.Response], journal: Journal, content_type: str, parameters: str
) -> None:
    """A good request is answered 200 in its own encoding with an empty response, and the journal has its bytes."""
    response = post(TRACES[content_type], content_type.upper() + parameters)
    assert (response.status_code, response.headers["content-type"]) == (200, content_type)
    assert response.content == (b"" if content_type == PROTOBUF else b"{}")
    assert kept(journal) == [(Signal.TRACES_PROTO if content_type == PROTOBUF else Signal.TRACES_JSON, TRACES[content_type])]


@BOTH
@pytest.mark.parametrize("path", ["traces", "logs", "metrics"])
def test_each_path_keeps_its_own_signal(
    post: Callable[..., httpx.Response], journal: Journal, path: str, content_type: str
) -> None:
    """Traces, logs and metrics are kept as what they are."""
    assert post(b"{}" if content_type == JSON else b"\x12\x00", content_type, f"/v1/{path}").status_code == 200
    assert kept(journal)[0][0] == Signal[f"{path.upper()}_{'JSON' if content_type == JSON else 'PROTO'}"]


@BOTH
def test_an_empty_request_succeeds(post: Callable[..., httpx.Response], content_type: str) -> None:
    """A request without anything in it is a success."""
    response = post(b"" if content_type == PROTOBUF else b"{}", content_type)
    assert (response.status_code, response.content) == (200, b"" if content_type == PROTOBUF else b"{}")


@BOTH
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_answers_say_who_answers(post: Callable[..., httpx.Response], content_type: str, path: str) -> None:
    """Every answer carries the collector's version; and the number of the policies that ask."""
    for content in (b"" if content_type == PROTOBUF else b"{}", b"\xff"):
        headers = post(content, content_type, path).headers
        assert headers["rota-collector"] == __version__
        assert headers["rota-policy"] == "7"


@BOTH
def test_rejected_spans_are_counted(post: Callable[..., httpx.Response], journal: Journal, content_type: str) -> None:
    """When some spans have no valid id the others are kept, and the answer says how many not and why."""
    request = traces(span(1), span(2, trace_id=b"short"), span(3, span_id=b""))
    response = post(request.SerializeToString() if content_type == PROTOBUF else to_json(request), content_type)
    assert response.status_code == 200
    if content_type == PROTOBUF:
        partial = ExportTraceServiceResponse.FromString(response.content).partial_success
        assert (partial.rejected_spans, "2 spans" in partial.error_message) == (2, True)
    else:
        partial_json = response.json()["partialSuccess"]
        assert (partial_json["rejectedSpans"], "2 spans" in partial_json["errorMessage"]) == ("2", True)
    assert len(kept(journal)) == 1


def test_logs_without_valid_ids_are_no_partial_success(post: Callable[..., httpx.Response]) -> None:
    """A log record with a wrong id is kept, so there is nothing to say."""
    response = post(logs(log(1, trace_id=b"short")).SerializeToString(), path="/v1/logs")
    assert not ExportLogsServiceResponse.FromString(response.content).HasField("partial_success")


@BOTH
def test_a_broken_body_is_refused_in_its_encoding(
    post: Callable[..., httpx.Response], journal: Journal, content_type: str
) -> None:
    """What cannot be decoded is 400 with a Status that names the place, and nothing is kept."""
    response = post(BROKEN[content_type], content_type)
    assert (response.status_code, response.headers["content-type"], kept(journal)) == (400, content_type, [])
    status = status_of(response)
    assert (status.code, status.message.startswith("cannot decode")) == (3, True)
    if content_type == PROTOBUF:
        detail = BadRequest()
        assert status.details[0].Unpack(detail)
        assert detail.field_violations[0].description == status.message
    else:
        detail_json = response.json()["details"][0]
        assert detail_json["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        assert detail_json["fieldViolations"][0]["field"] == "resourceSpans"


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/grpc"])
def test_other_content_types_are_refused(post: Callable[..., httpx.Response], journal: Journal, content_type: str | None) -> None:
    """Any other content type, or none, is 415, with what would be accepted."""
    response = post(TRACES[JSON], content_type)
    assert (response.status_code, kept(journal)) == (415, [])
    assert PROTOBUF in status_of(response).message


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(post: Callable[..., httpx.Response], method: str) -> None:
    """Any method but POST is 405, and the answer says what is allowed."""
    response = post(b"", method=method)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_other_paths_are_not_found(post: Callable[..., httpx.Response]) -> None:
    """A path under /v1 that does not exist is 404 and names those that do."""
    response = post(b"", path="/v1/profiles")
    assert (response.status_code, "/v1/traces" in response.json()["message"]) == (404, True)


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


@BOTH
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate),
        ("identity", bytes), ("gzip", lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:])),
        ("zstd", zstd.compress), ("zstd", lambda data: zstd.compress(data[:50]) + zstd.compress(data[50:])),
    ],
    ids=["gzip", "upper case", "deflate", "raw deflate", "identity", "gzip of two members", "zstd", "zstd of two frames"],
)  # fmt: skip
def test_compressed_bodies_are_kept_decompressed(
    post: Callable[..., httpx.Response], journal: Journal, content_type: str, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """gzip, zstd and deflate are understood, in all forms that senders write them; the journal has what was inside."""
    assert post(compress(TRACES[content_type]), content_type, content_encoding=encoding).status_code == 200
    assert kept(journal)[0][1] == TRACES[content_type]


def test_an_unknown_encoding_is_refused(post: Callable[..., httpx.Response], journal: Journal) -> None:
    """A compression that is not understood is 415, and the answer says which are."""
    response = post(TRACES[PROTOBUF], content_encoding="br")
    assert (response.status_code, response.headers["accept-encoding"], kept(journal)) == (415, "gzip, zstd, deflate", [])


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
@pytest.mark.parametrize(
    "damage",
    [lambda body: body[:-9], lambda _: b"plain", lambda _: b"", lambda body: body + b"tail", lambda body: body[:12]],
    ids=["cut", "other", "empty", "with a tail", "cut early"],
)
def test_damaged_compression_is_refused(
    post: Callable[..., httpx.Response], journal: Journal, encoding: str, compress: Any, damage: Callable[[bytes], bytes]
) -> None:
    """A compressed body that ends early, goes on too long or is none is 400, and nothing is kept."""
    response = post(damage(compress(TRACES[PROTOBUF])), content_encoding=encoding)
    assert (response.status_code, status_of(response).code, kept(journal)) == (400, 3, [])


def bodies_of(size: int) -> dict[str, tuple[bytes, dict[str, str]]]:
    zeros = bytes(size)
    return {"plain": (zeros, {}), "gzip bomb": (gzip.compress(zeros), {"content_encoding": "gzip"}),
            "deflate bomb": (zlib.compress(zeros), {"content_encoding": "deflate"}),
            "zstd bomb": (zstd.compress(zeros), {"content_encoding": "zstd"})}  # fmt: skip


@BOTH
@pytest.mark.parametrize("form", ["plain", "gzip bomb", "deflate bomb", "zstd bomb"])
def test_too_large_a_body_is_refused(post: Callable[..., httpx.Response], journal: Journal, content_type: str, form: str) -> None:
    """A body above the limit after decompression is 413 with the setting to change, however small it was before."""
    body, headers = bodies_of(MAX_BODY + 1)[form]
    response = post(body, content_type, **headers)
    assert (response.status_code, response.headers["content-type"], kept(journal)) == (413, content_type, [])
    assert (status_of(response).code, "ROTA_MAX_BODY" in status_of(response).message) == (8, True)


@pytest.mark.parametrize("form", ["plain", "gzip bomb", "deflate bomb", "zstd bomb"])
def test_a_body_at_the_limit_is_read(post: Callable[..., httpx.Response], form: str) -> None:
    """Exactly the limit is not too much: these zeros are read to the end, and found to be no protobuf."""
    body, headers = bodies_of(MAX_BODY)[form]
    assert post(body, **headers).status_code == 400


@pytest.mark.parametrize(("encoding", "compress"), [(b"deflate", zlib.compress), (b"zstd", zstd.compress)])
def test_a_bomb_is_given_up_at_the_limit(journal: Journal, encoding: bytes, compress: Callable[[bytes], bytes]) -> None:
    """Of a body that grows without end little more than the limit is ever held, and the rest is not read."""
    receiver = Receiver(journal, max_body=MAX_BODY)
    bomb = compress(bytes(64 << 20))
    asked: list[int] = []
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        asked.append(1)
        part = bomb[:2000] if len(asked) == 1 else bomb[len(asked) * 1000 : (len(asked) + 1) * 1000]
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"content-type", PROTOBUF.encode()), (b"content-encoding", encoding)]
    asyncio.run(receiver({"path": "/v1/traces", "method": "POST", "headers": headers}, receive, send))
    assert answers[0]["status"] == 413
    assert len(asked) < 10


def test_a_declared_size_is_refused_unread(journal: Journal) -> None:
    """A content-length above the limit is answered before a byte of the body is read."""
    receiver = Receiver(journal, max_body=MAX_BODY)
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"content-type", PROTOBUF.encode()), (b"content-length", str(MAX_BODY + 1).encode())]
    asyncio.run(receiver({"path": "/v1/traces", "method": "POST", "headers": headers}, receive, send))
    assert answers[0]["status"] == 413


def test_a_client_that_leaves_is_not_kept(journal: Journal) -> None:
    """A body that ends in a disconnect is no request: nothing is kept and nothing is answered."""
    receiver = Receiver(journal)
    messages = [{"type": "http.request", "body": TRACES[PROTOBUF], "more_body": True}, {"type": "http.disconnect"}]
    answers: list[Any] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    headers = [(b"content-type", PROTOBUF.encode())]
    asyncio.run(receiver({"path": "/v1/traces", "method": "POST", "headers": headers}, receive, send))
    assert (answers, kept(journal)) == ([], [])


@BOTH
def test_when_nothing_can_be_kept_it_says_come_back(
    post: Callable[..., httpx.Response], journal: Journal, content_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is 503 with Retry-After and RetryInfo, and a 200 follows as soon as there is space."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_files, "write_all", full)
        response = post(TRACES[content_type], content_type)
    assert (response.status_code, response.headers["retry-after"], status_of(response).code) == (503, "5", 14)
    if content_type == PROTOBUF:
        detail = RetryInfo()
        assert status_of(response).details[0].Unpack(detail)
        assert detail.retry_delay.seconds == 5
    else:
        assert response.json()["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "5s"}]
    assert post(TRACES[content_type], content_type).status_code == 200


def test_while_closing_it_says_come_back(post: Callable[..., httpx.Response], journal: Journal) -> None:
    """A collector that stops answers 503 with Retry-After instead of losing the request."""
    journal.close()
    assert post(TRACES[PROTOBUF]).status_code == 503


def test_a_200_means_on_disk(post: Callable[..., httpx.Response], monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer waits for the sync, and comes when it returns."""
    syncing, may_end, answered = threading.Event(), threading.Event(), threading.Event()
    real = _files.sync
    monkeypatch.setattr(_files, "sync", lambda fd: (syncing.set(), may_end.wait(10), real(fd)))
    statuses: list[int] = []
    thread = threading.Thread(target=lambda: (statuses.append(post(TRACES[PROTOBUF]).status_code), answered.set()))
    thread.start()
    assert syncing.wait(10)
    assert not answered.is_set()
    may_end.set()
    thread.join(10)
    assert statuses == [200]


@BOTH
def test_a_large_request_lets_others_pass(journal: Journal, content_type: str) -> None:
    """While megabytes are validated, small requests are answered; both are kept whole."""
    large = traces(*(span(n, {"text": "x" * 1000}) for n in range(1, 8000)))
    body = large.SerializeToString() if content_type == PROTOBUF else to_json(large)
    receiver = Receiver(journal)
    order: list[str] = []

    async def both() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://collector") as client:

            async def send(name: str, content: bytes) -> int:
                response = await client.post("/v1/traces", content=content, headers={"content-type": content_type})
                order.append(name)
                return response.status_code

            return list(await asyncio.gather(send("large", body), send("small", TRACES[content_type])))

    assert asyncio.run(both()) == [200, 200]
    assert order == ["small", "large"]
    assert {len(payload) for _, payload in kept(journal)} == {len(body), len(TRACES[content_type])}
    receiver.close()


@pytest.mark.parametrize("where", ["path", "content type", "encoding", "body"])
def test_answers_are_short_whatever_was_sent(post: Callable[..., httpx.Response], where: str) -> None:
    """What an answer quotes of a request is cut: no answer has more than a few kilobytes."""
    long = "x" * 60_000
    response = {
        "path": lambda: post(b"", JSON, f"/v1/{long}"),
        "content type": lambda: post(b"", long),
        "encoding": lambda: post(b"", content_encoding=long),
        "body": lambda: post(b'{"resourceSpans":' + b'[{"scopeSpans":' * 10_000 + b"5", JSON),
    }[where]()
    assert 400 <= response.status_code < 500
    assert len(response.content) < 5_000


def test_json_in_and_out_is_utf8(post: Callable[..., httpx.Response], journal: Journal) -> None:
    """Text beyond ASCII is kept as sent, and an error about it is still valid JSON."""
    body = json.dumps({"resourceLogs": [{"schemaUrl": "é😀"}]}, ensure_ascii=False).encode()
    assert post(body, JSON, "/v1/logs").status_code == 200
    assert kept(journal)[0][1] == body
    assert post(body[:-20], JSON, "/v1/logs").json()["code"] == 3
