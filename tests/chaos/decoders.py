"""Every decoder of the collector, with what must hold for any input: it is refused as malformed, or all of it is read.

``examine(door, data)`` returns whether the input was taken, and lets everything else fall out as the error that it is.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import otlp_messages as messages
import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from rota_collector import decode
from rota_collector.decode import from_json, to_rows
from rota_collector.decode.json_pieces import json_pieces
from rota_collector.decode.pieces import PIECE_BYTES, pieces
from rota_collector.domain import ping
from rota_collector.errors import Malformed
from rota_collector.journal import Record, Signal
from rota_collector.receive import bodies
from rota_collector.store import batch

SIGNALS = tuple(signal.name for signal in Signal)
LIMIT = 1 << 16  # of a body, decompressed
_SMALL = 96  # bytes from which on a request is cut, where real ones are cut at a quarter of a megabyte
_REQUESTS: dict[str, Any] = {
    "TRACES": ExportTraceServiceRequest, "LOGS": ExportLogsServiceRequest, "METRICS": ExportMetricsServiceRequest,
}  # fmt: skip


def examine(door: str, data: bytes) -> bool:
    """Whether the door took the input. AssertionError: it took it, and something about it is wrong."""
    return bool(examine_all(door, [data]))


def examine_all(door: str, inputs: Sequence[bytes]) -> int:
    """How many the door took. What is taken is read together, as it is by the stores, half of it cut into small pieces."""
    if door not in SIGNALS:
        return sum(map(_DOORS[door], inputs))
    halves = [data for data in inputs if data[-1:] < b"P"], [data for data in inputs if data[-1:] >= b"P"]
    with cut_small():
        taken = _requests(Signal[door], halves[0])
    return taken + _requests(Signal[door], halves[1])


def failing(door: str, inputs: Sequence[bytes]) -> Iterator[tuple[bytes, Exception]]:
    """Those of the inputs that are not examined without an error, each by itself."""
    for data in inputs:
        try:
            examine(door, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            yield data, error


def _requests(signal: Signal, inputs: Sequence[bytes]) -> int:
    kind = signal.name.partition("_")[0]
    taken = [(data, outcome.rejected) for data in inputs if (outcome := _checked(signal, data)) is not None]
    records = [messages.record(data, signal, offset) for offset, (data, _) in enumerate(taken) if data]
    if not records:
        return len(taken)
    tables = _tables(kind, records)
    for table in tables:
        _is_readable(table)
    parsed = [_REQUESTS[kind].FromString(piece) for record in records for piece in _protobufs(signal, record.payload)]
    assert sum(map(_records, parsed)) - sum(rejected for _, rejected in taken) == tables[0].num_rows
    if signal.name.endswith("PROTO"):
        _same_as_json(kind, _REQUESTS[kind].FromString(records[0].payload), _tables(kind, records[:1]))
    return len(taken)


def _checked(signal: Signal, data: bytes) -> Any:
    try:
        return decode.check(signal, data)
    except Malformed:
        return None


def _tables(kind: str, records: Sequence[Record]) -> list[pa.Table]:
    if kind == "TRACES":
        return [to_rows.spans(records)]
    if kind == "METRICS":
        to_rows.heartbeats(records)
        return [to_rows.metrics(records)]
    return [to_rows.logs(records), batch.run_events(to_rows.run_events(records))]


def _protobufs(signal: Signal, data: bytes) -> Iterator[bytes]:
    yield from map(bytes, from_json.to_protobuf(signal, data) if signal.name.endswith("JSON") else pieces(data, PIECE_BYTES))


def _records(request: Any) -> int:
    if isinstance(request, ExportTraceServiceRequest):
        return sum(len(scope.spans) for above in request.resource_spans for scope in above.scope_spans)
    if isinstance(request, ExportLogsServiceRequest):
        return sum(len(scope.log_records) for above in request.resource_logs for scope in above.scope_logs)
    metrics = (metric for above in request.resource_metrics for scope in above.scope_metrics for metric in scope.metrics)
    return sum(len(getattr(metric, kind).data_points) for metric in metrics if (kind := metric.WhichOneof("data")))


def _is_readable(table: pa.Table) -> None:
    """Everything that the database will take for JSON is JSON."""
    for column in table.columns:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if kind == pa.json_():
            for text in set(column.to_pylist()) - {None}:
                json.loads(text, parse_constant=_no_number)


def _no_number(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def _same_as_json(kind: str, request: Any, tables: list[pa.Table]) -> None:
    """The same message as OTLP-JSON gives the same rows; it may be refused where it nests too deep."""
    signal = Signal[f"{kind}_JSON"]
    text = messages.to_json(request)
    try:
        decode.check(signal, text)
    except Malformed as error:
        assert "nested too deep" in str(error), (error, text)  # noqa: PT017
        return
    again = _tables(kind, [messages.record(text, signal)])
    assert [table.to_pylist() for table in again] == [table.to_pylist() for table in tables], text


def _proto_pieces(data: bytes) -> bool:
    """Cut or whole, the records are the same."""
    try:
        cut = list(map(bytes, pieces(data, _SMALL)))
        records = [_REQUESTS["LOGS"].FromString(piece) for piece in cut]
        whole = _REQUESTS["LOGS"].FromString(data)
    except (Malformed, DecodeError):
        return False
    assert sum(map(_records, records)) == _records(whole)
    return True


def _json_pieces(data: bytes) -> bool:
    try:
        cut = [json.loads(bytes(piece)) for piece in json_pieces(data, from_json.PATHS["traces"], _SMALL)]
    except (Malformed, ValueError, RecursionError):
        return False
    return bool(cut)


def _inflate(data: bytes) -> bool:
    """A body is what zlib makes of it, or refused; never more than the limit and a step."""
    chunks = [data[i : i + 100] for i in range(0, len(data), 100)] or [b""]
    arriving = iter([{"type": "http.request", "body": chunk, "more_body": i < len(chunks) - 1} for i, chunk in enumerate(chunks)])

    async def receive() -> Any:
        return next(arriving)

    try:
        body = asyncio.run(bodies.read(receive, b"gzip", LIMIT))
    except (bodies.TooLarge, bodies.Corrupt):
        return False
    assert len(body) <= LIMIT
    return True


def _ping(data: bytes) -> bool:
    path, _, query = data.decode("latin-1").partition("?")
    taken = False
    for is_bound in (True, False):
        try:
            found = ping.read(ping.address(ping.PREFIX + path).rest, query, is_bound=is_bound)
            ping.may_be_made(found)
        except ping.Refused:
            continue
        assert found.exit_code is None or 0 <= found.exit_code <= 255
        assert found.state in ("running", "failed", "succeeded", None)
        found.raw_state.encode()
        taken = True
    ping.last_lines(ping.text_of(data))
    return taken


@contextlib.contextmanager
def cut_small() -> Iterator[None]:
    """Small requests are cut in pieces, as large ones are."""
    with contextlib.ExitStack() as patched:
        for module in ("check", "columns", "from_json", "told"):
            patched.enter_context(patch(f"rota_collector.decode.{module}.PIECE_BYTES", _SMALL))
        yield


_DOORS: dict[str, Callable[[bytes], bool]] = {
    "proto_pieces": _proto_pieces, "json_pieces": _json_pieces, "inflate": _inflate, "ping": _ping,
}  # fmt: skip
DOORS = (*SIGNALS, *_DOORS)


def shown(data: bytes) -> str:
    """An input for a report, to be read back by whoever looks into it."""
    return base64.b64encode(zlib.compress(data)).decode()
