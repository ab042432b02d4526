"""Rules of the OTLP specification that have no test elsewhere; otlp_requirements.csv says which rule is tested where."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from otlp_messages import TRACE, log, logs, record, span, to_json, traces

from rota_collector import decode
from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.journal import Journal, Signal
from rota_collector.receive.otlp import Receiver

PROTOBUF, JSON = "application/x-protobuf", "application/json"
BOTH = pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
ALL_PATHS = pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs", "/v1/metrics"])
Post = Callable[..., httpx.Response]

METRICS = ExportMetricsServiceRequest()
METRICS.resource_metrics.add().scope_metrics.add().metrics.add(name="n").gauge.data_points.add(as_int=1)
REQUESTS: dict[str, Message] = {"/v1/traces": traces(span(1)), "/v1/logs": logs(log(1)), "/v1/metrics": METRICS}
RESPONSES: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceResponse, "/v1/logs": ExportLogsServiceResponse, "/v1/metrics": ExportMetricsServiceResponse
}  # fmt: skip


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    """Sends one request to a receiver."""
    journal = Journal(tmp_path / "journal", clock=ManualClock())
    receiver = Receiver(journal, max_body=1 << 20)

    def send(content: bytes, content_type: str, path: str = "/v1/traces", **headers: str) -> httpx.Response:
        async def request() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(receiver), base_url="http://collector") as client:
                return await client.post(path, content=content, headers={"content-type": content_type, **headers})

        return asyncio.run(request())

    yield send
    receiver.close()
    journal.close()


def spans_of(*given: dict[str, Any]) -> bytes:
    """OTLP-JSON with these spans, each with what it needs."""
    usual = {"traceId": TRACE.hex(), "spanId": "00f067aa0ba902b7", "name": "n"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [usual | one for one in given]}]}]}).encode()


def rows_of(body: bytes) -> list[dict[str, Any]]:
    """What becomes of spans in OTLP-JSON, after they have passed the door."""
    decode.check(Signal.TRACES_JSON, body)
    found: list[dict[str, Any]] = to_rows.spans([record(body, Signal.TRACES_JSON)]).to_pylist()
    return found


@ALL_PATHS
@BOTH
def test_each_signal_has_its_response(post: Post, path: str, content_type: str) -> None:
    """Full success is the signal's own response, with partial_success unset."""
    request = REQUESTS[path]
    answer = post(request.SerializeToString() if content_type == PROTOBUF else to_json(request), content_type, path)
    assert answer.status_code == 200
    if content_type == PROTOBUF:
        assert not RESPONSES[path].FromString(answer.content).HasField("partial_success")
    else:
        assert answer.json() == {}


@ALL_PATHS
@BOTH
@pytest.mark.parametrize("what", ["broken", "too large", "unknown encoding"])
def test_every_refusal_is_a_status(post: Post, path: str, content_type: str, what: str) -> None:
    """Whatever is refused, the body is a google.rpc.Status with a message, encoded as the request was."""
    body, headers = {
        "broken": (b"\xff{", {}),
        "too large": (gzip.compress(bytes(2 << 20)), {"content-encoding": "gzip"}),
        "unknown encoding": (b"", {"content-encoding": "br"}),
    }[what]
    answer = post(body, content_type, path, **headers)
    assert (400 <= answer.status_code < 500, answer.headers["content-type"]) == (True, content_type)
    message = Status.FromString(answer.content).message if content_type == PROTOBUF else answer.json()["message"]
    assert message


@BOTH
def test_a_partial_success_is_short_however_much_was_rejected(post: Post, content_type: str) -> None:
    """Thousands of rejected spans are a number and one sentence."""
    request = traces(*(span(1, span_id=b"") for _ in range(5000)))
    answer = post(request.SerializeToString() if content_type == PROTOBUF else to_json(request), content_type)
    assert (answer.status_code, len(answer.content) < 1000) == (200, True)
    assert b"5000" in answer.content


def test_ids_are_hex_in_either_case(post: Post) -> None:
    """traceId, spanId and parentSpanId are hex in upper, lower and mixed case; base64 is no id."""
    spelled = [{"spanId": text, "parentSpanId": text} for text in ("ABCDEF0123456789", "abcdef0123456789", "aBcDeF0123456789")]
    found = rows_of(spans_of(*spelled))
    assert {row["span_id"] for row in found} == {row["parent_span_id"] for row in found} == {0xABCDEF0123456789}
    answer = post(spans_of({"spanId": "APBnqgupArc="}), JSON)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"


@pytest.mark.parametrize("field", [{"kind": "SPAN_KIND_SERVER"}, {"status": {"code": "STATUS_CODE_ERROR"}}])
def test_enums_are_integers(post: Post, field: dict[str, Any]) -> None:
    """The number of an enum value is kept; its name is bad data."""
    assert [(row["kind"], row["status"]) for row in rows_of(spans_of({"kind": 2, "status": {"code": 2}}))] == [(2, 2)]
    assert post(spans_of(field), JSON).status_code == 400


def test_unknown_names_are_as_if_they_were_not_there(post: Post) -> None:
    """Fields that nobody knows, of whatever type and wherever, change nothing."""
    plain = json.loads(spans_of({"attributes": [{"key": "a", "value": {"intValue": 1}}]}))
    strange = json.loads(json.dumps(plain), object_hook=lambda found: {**found, "news": {"deep": [1, None, "x"]}, "more": 2**80})
    assert post(json.dumps(strange).encode(), JSON).status_code == 200
    assert rows_of(json.dumps(strange).encode()) == rows_of(json.dumps(plain).encode())


def test_original_field_names_are_unknown_names() -> None:
    """trace_state is not traceState."""
    first, second = rows_of(spans_of({"trace_state": "a=1"}, {"traceState": "a=1"}))
    assert (first["trace_state"], second["trace_state"]) == (None, "a=1")


@pytest.mark.parametrize("number", [0, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_large_integers_are_strings_or_numbers(number: int) -> None:
    """A 64-bit integer is the same written as a string and as a number, to its last digit."""
    values = [{"attributes": [{"key": "a", "value": {"intValue": spelled}}]} for spelled in (number, str(number))]
    assert [row["attributes"] for row in rows_of(spans_of(*values))] == [f'{{"a":{number}}}'] * 2


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def test_fields_of_later_versions_are_ignored(post: Post) -> None:
    """Fields with numbers that today's messages have not, of every wire type, change nothing."""
    news = varint(1000 << 3) + b"\x05" + varint(1001 << 3 | 1) + bytes(8) + field(1002, b"new") + varint(1003 << 3 | 5) + bytes(4)
    one = span(1).SerializeToString()
    plain, strange = (field(1, field(2, field(2, one + more)) + more) + more for more in (b"", news))
    assert post(strange, PROTOBUF).content == b""
    tables = [to_rows.spans([record(body, Signal.TRACES_PROTO)]) for body in (plain, strange)]
    assert tables[0].to_pylist() == tables[1].to_pylist()


def nested(depth: int) -> bytes:
    """An attribute of a resource, so many lists deep, in protobuf."""
    value = b""
    for _ in range(depth):
        value = field(5, field(1, value))
    return field(1, field(1, field(1, field(1, b"k") + field(2, value))))


HOSTILE = {
    "length beyond the end": b"\x0a\x7f\x12",
    "length of four gigabytes": b"\x0a\xff\xff\xff\xff\x0f",
    "length of 2^64 - 1": b"\x0a" + b"\xff" * 9 + b"\x01",
    "number without an end": b"\x0a" + b"\xff" * 20,
    "group that does not end": b"\x0b",
    "group that did not begin": b"\x0c",
    "wire type 6": b"\x0e\x00",
    "field number 0": b"\x02\x00",
    "text that is no UTF-8": field(1, field(3, b"\xff\xfe")),
    "thousands of lists deep": nested(3000),
    "a length inside that is wrong": field(1, b"\x12\x05\x12"),
}


@ALL_PATHS
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_protobuf_is_bad_data(post: Post, name: str, path: str) -> None:
    """Wrong lengths, wrong wire types, endless nesting: 400, at once, whichever the signal."""
    assert post(HOSTILE[name], PROTOBUF, path).status_code == 400


HOSTILE_JSON = {
    "deep lists": b'{"a":' + b"[" * 100_000,
    "deep values": b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":'
    + b'{"arrayValue":{"values":[' * 3000 + b"{}" + b"]}}" * 3000 + b"}]}}]}",
    "digits without an end": b'{"resourceSpans":' + b"9" * 100_000 + b"}",
    "torn": b'{"resourceSpans":[{"sc',
    "no JSON": b"resourceSpans",
    "a null byte": b"{}\x00",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_bad_data(post: Post, name: str) -> None:
    """Nesting, endless numbers, torn text: 400, at once."""
    assert post(HOSTILE_JSON[name], JSON).status_code == 400


def test_the_limit_is_a_setting_for_both_transports(new_collector: Any) -> None:
    """ROTA_MAX_BODY holds for HTTP and for gRPC."""
    collector = new_collector(ROTA_MAX_BODY="10000", ROTA_GRPC="127.0.0.1:0").start()
    large = traces(span(1, {"text": "x" * 10_000}))
    answer = httpx.post(
        f"{collector.url}/v1/traces", content=large.SerializeToString(), headers={"content-type": PROTOBUF}, trust_env=False
    )
    assert answer.status_code == 413
    with grpc.insecure_channel(collector.addresses["grpc"]) as channel, pytest.raises(grpc.RpcError) as caught:
        TraceServiceStub(channel).Export(large, timeout=10)
    refused: Any = caught.value
    assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
