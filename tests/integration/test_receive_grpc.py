"""OTLP over gRPC: the same promises as over HTTP, in gRPC's words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from otlp_messages import log, logs, span, traces

from rota_collector import _files
from rota_collector.clock import ManualClock
from rota_collector.journal import Journal, Signal
from rota_collector.receive.grpc import Receiver

MAX_BODY = 1 << 16


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal", clock=ManualClock())
    yield opened
    opened.close()


@pytest.fixture
def channel(journal: Journal) -> Iterator[grpc.Channel]:
    receiver = Receiver(journal, "127.0.0.1:0", max_body=MAX_BODY, asking=lambda: 7, http_port=4711)
    with grpc.insecure_channel(f"127.0.0.1:{receiver.port}") as opened:
        yield opened
    receiver.close()


def raw_export(channel: grpc.Channel) -> Callable[[bytes], Any]:
    """Calls Export with any bytes."""
    export: Any = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    return lambda payload: export(payload, timeout=10)


def kept(journal: Journal) -> list[tuple[Signal, bytes]]:
    return [(record.signal, record.payload) for record in journal.read(0, 1 << 30)]


def failure_of(call: Callable[[], Any]) -> tuple[grpc.StatusCode, Status]:
    """The code of a call that fails, and the Status in its trailer."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    trailer = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    return error.code(), Status.FromString(trailer)


def test_all_services_keep_what_they_are_sent(channel: grpc.Channel, journal: Journal) -> None:
    """Traces, logs and metrics are answered without a partial success, and the journal has their bytes."""
    requests: list[tuple[Any, Any]] = [
        (TraceServiceStub, traces(span(1))),
        (LogsServiceStub, logs(log(1))),
        (MetricsServiceStub, ExportMetricsServiceRequest()),
    ]
    requests[2][1].resource_metrics.add()
    for stub, request in requests:
        assert not stub(channel).Export(request, timeout=10).HasField("partial_success")
    expected = [request.SerializeToString() for _, request in requests]
    assert kept(journal) == list(zip((Signal.TRACES_PROTO, Signal.LOGS_PROTO, Signal.METRICS_PROTO), expected, strict=True))


def test_an_empty_request_succeeds(channel: grpc.Channel) -> None:
    """A request without anything in it is a success."""
    assert TraceServiceStub(channel).Export(traces().__class__(), timeout=10).SerializeToString() == b""


def test_compressed_requests_are_understood(channel: grpc.Channel, journal: Journal) -> None:
    """gzip is understood, and the journal has what was inside."""
    request = traces(span(1))
    TraceServiceStub(channel).Export(request, timeout=10, compression=grpc.Compression.Gzip)
    assert kept(journal) == [(Signal.TRACES_PROTO, request.SerializeToString())]


def test_rejected_spans_are_counted(channel: grpc.Channel) -> None:
    """Spans without a valid id are counted in the answer, with the reason."""
    partial = TraceServiceStub(channel).Export(traces(span(1), span(2, span_id=b"")), timeout=10).partial_success
    assert (partial.rejected_spans, "1 spans" in partial.error_message) == (1, True)


def test_a_broken_request_is_an_invalid_argument(channel: grpc.Channel, journal: Journal) -> None:
    """What cannot be decoded is INVALID_ARGUMENT with BadRequest, and nothing is kept."""
    code, status = failure_of(lambda: raw_export(channel)(b"\xff\xff"))
    detail = BadRequest()
    assert (code, status.details[0].Unpack(detail), kept(journal)) == (grpc.StatusCode.INVALID_ARGUMENT, True, [])
    assert detail.field_violations[0].description.startswith("cannot decode protobuf")


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_too_large_a_request_is_refused_for_good(channel: grpc.Channel, journal: Journal, compression: grpc.Compression) -> None:
    """A message above the limit after decompression is RESOURCE_EXHAUSTED without RetryInfo: sending it again would not help."""
    request = traces(span(1, {"text": "x" * MAX_BODY}))
    code, status = failure_of(lambda: TraceServiceStub(channel).Export(request, timeout=10, compression=compression))
    assert (code, len(status.details), kept(journal)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 0, [])


def test_when_nothing_can_be_kept_it_says_come_back(
    channel: grpc.Channel, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is UNAVAILABLE with RetryInfo, and calls succeed again when there is space."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    stub = TraceServiceStub(channel)
    with monkeypatch.context() as patched:
        patched.setattr(_files, "write_all", full)
        code, status = failure_of(lambda: stub.Export(traces(span(1)), timeout=10))
    detail = RetryInfo()
    assert (code, status.details[0].Unpack(detail)) == (grpc.StatusCode.UNAVAILABLE, True)
    assert detail.retry_delay.seconds == 5
    stub.Export(traces(span(1)), timeout=10)
    assert len(kept(journal)) == 1


def test_while_closing_it_says_come_back(channel: grpc.Channel, journal: Journal) -> None:
    """A collector that stops answers UNAVAILABLE with RetryInfo."""
    journal.close()
    code, status = failure_of(lambda: TraceServiceStub(channel).Export(traces(span(1)), timeout=10))
    assert (code, len(status.details)) == (grpc.StatusCode.UNAVAILABLE, 1)


def test_an_answer_means_on_disk(channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer waits for the sync, and comes when it returns."""
    syncing, may_end = threading.Event(), threading.Event()
    real = _files.sync
    monkeypatch.setattr(_files, "sync", lambda fd: (syncing.set(), may_end.wait(10), real(fd)))
    future = TraceServiceStub(channel).Export.future(traces(span(1)), timeout=10)
    assert syncing.wait(10)
    assert not future.done()
    may_end.set()
    assert future.result() is not None


def test_silent_calls_keep_nobody_waiting(channel: grpc.Channel) -> None:
    """Clients that open calls and send nothing, more than there are threads, hold up no one."""
    started, may_end = threading.Semaphore(0), threading.Event()

    def nothing() -> Iterator[bytes]:
        started.release()
        may_end.wait(20)
        yield b""

    export: Any = channel.stream_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
    silent = [export.future(nothing(), timeout=20) for _ in range(50)]
    for _ in silent:
        assert started.acquire(timeout=10)
    TraceServiceStub(channel).Export(traces(span(1)), timeout=10)
    may_end.set()
    for call in silent:
        call.result()


def test_answers_are_short_whatever_was_sent(channel: grpc.Channel) -> None:
    """An answer names what was wrong in a few kilobytes, however much was."""
    code, status = failure_of(lambda: raw_export(channel)(b"\xff" * (MAX_BODY - 100)))
    assert (code, status.ByteSize() < 5_000) == (grpc.StatusCode.INVALID_ARGUMENT, True)


def test_a_taken_port_is_an_error(journal: Journal) -> None:
    """A second receiver on the same port is refused, with the setting to change."""
    first = Receiver(journal, "127.0.0.1:0")
    with pytest.raises(OSError, match="ROTA_GRPC"):
        Receiver(journal, f"127.0.0.1:{first.port}")
    first.close()


def test_answers_say_who_answers(channel: grpc.Channel) -> None:
    """The initial metadata of an answer carries the collector's version."""
    _, call = TraceServiceStub(channel).Export.with_call(traces(span(1)), timeout=10)
    told = dict(call.initial_metadata())
    assert "rota-collector" in told
    assert (told["rota-policy"], told["rota-http-port"]) == ("7", "4711")
