"""OTLP-JSON, typed: decoding is validating.

The rules of the OTLP specification where they differ from plain JSON: ids are hex, 64-bit integers may be strings,
doubles may be "NaN" or "Infinity", bytes are base64, enums are integers, unknown names are ignored, null is the default.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from rota_collector.errors import Malformed

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
UInt64 = Annotated[int, Meta(ge=0)]  # one beyond 2**64 is held to it when it is encoded
UInt32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class _Message(msgspec.Struct, rename="camel", gc=False):
    """Fields are named as in the .proto files; None is "not there"."""


class AnyValue(_Message):
    """The value of an attribute, or the body of a log record."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Int64 | None = None
    double_value: float | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: bytes | None = None


class ArrayValue(_Message):
    """A list of values."""

    values: list[AnyValue] | None = None


class KeyValue(_Message):
    """One attribute."""

    key: str | None = None
    value: AnyValue | None = None


class KeyValueList(_Message):
    """Attributes as a value."""

    values: list[KeyValue] | None = None


class Resource(_Message):
    """What produced the telemetry."""

    attributes: list[KeyValue] | None = None
    dropped_attributes_count: UInt32 | None = None


class InstrumentationScope(_Message):
    """Which library recorded it."""

    name: str | None = None
    version: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: UInt32 | None = None


class SpanEvent(_Message):
    """Something that happened inside a span."""

    time_unix_nano: UInt64 | None = None
    name: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: UInt32 | None = None


class Link(_Message):
    """A reference to another span."""

    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: UInt32 | None = None
    flags: UInt32 | None = None


class Status(_Message):
    """How a span ended."""

    message: str | None = None
    code: Int32 | None = None


class Span(_Message):
    """One span."""

    trace_id: str | None = None
    span_id: str | None = None
    trace_state: str | None = None
    parent_span_id: str | None = None
    flags: UInt32 | None = None
    name: str | None = None
    kind: Int32 | None = None
    start_time_unix_nano: UInt64 | None = None
    end_time_unix_nano: UInt64 | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: UInt32 | None = None
    events: list[SpanEvent] | None = None
    dropped_events_count: UInt32 | None = None
    links: list[Link] | None = None
    dropped_links_count: UInt32 | None = None
    status: Status | None = None


class ScopeSpans(_Message):
    """The spans of one library."""

    scope: InstrumentationScope | None = None
    spans: list[Span] | None = None
    schema_url: str | None = None


class ResourceSpans(_Message):
    """The spans of one resource."""

    resource: Resource | None = None
    scope_spans: list[ScopeSpans] | None = None
    schema_url: str | None = None


class TraceRequest(_Message):
    """The body of POST /v1/traces."""

    resource_spans: list[ResourceSpans] | None = None


class LogRecord(_Message):
    """One log record or event."""

    time_unix_nano: UInt64 | None = None
    observed_time_unix_nano: UInt64 | None = None
    severity_number: Int32 | None = None
    severity_text: str | None = None
    body: AnyValue | None = None
    attributes: list[KeyValue] | None = None
    dropped_attributes_count: UInt32 | None = None
    flags: UInt32 | None = None
    trace_id: str | None = None
    span_id: str | None = None
    event_name: str | None = None


class ScopeLogs(_Message):
    """The log records of one library."""

    scope: InstrumentationScope | None = None
    log_records: list[LogRecord] | None = None
    schema_url: str | None = None


class ResourceLogs(_Message):
    """The log records of one resource."""

    resource: Resource | None = None
    scope_logs: list[ScopeLogs] | None = None
    schema_url: str | None = None


class LogsRequest(_Message):
    """The body of POST /v1/logs."""

    resource_logs: list[ResourceLogs] | None = None


class Exemplar(_Message):
    """A sample measurement behind a point."""

    filtered_attributes: list[KeyValue] | None = None
    time_unix_nano: UInt64 | None = None
    as_double: float | None = None
    as_int: Int64 | None = None
    span_id: str | None = None
    trace_id: str | None = None


class _Point(_Message):
    attributes: list[KeyValue] | None = None
    start_time_unix_nano: UInt64 | None = None
    time_unix_nano: UInt64 | None = None
    flags: UInt32 | None = None


class NumberDataPoint(_Point):
    """A point of a gauge or sum."""

    as_double: float | None = None
    as_int: Int64 | None = None
    exemplars: list[Exemplar] | None = None


class HistogramDataPoint(_Point):
    """A point of a histogram."""

    count: UInt64 | None = None
    sum: float | None = None
    bucket_counts: list[UInt64] | None = None
    explicit_bounds: list[float] | None = None
    exemplars: list[Exemplar] | None = None
    min: float | None = None
    max: float | None = None


class Buckets(_Message):
    """One half of an exponential histogram."""

    offset: Int32 | None = None
    bucket_counts: list[UInt64] | None = None


class ExponentialHistogramDataPoint(_Point):
    """A point of an exponential histogram."""

    count: UInt64 | None = None
    sum: float | None = None
    scale: Int32 | None = None
    zero_count: UInt64 | None = None
    positive: Buckets | None = None
    negative: Buckets | None = None
    exemplars: list[Exemplar] | None = None
    min: float | None = None
    max: float | None = None
    zero_threshold: float | None = None


class ValueAtQuantile(_Message):
    """One quantile of a summary."""

    quantile: float | None = None
    value: float | None = None


class SummaryDataPoint(_Point):
    """A point of a summary."""

    count: UInt64 | None = None
    sum: float | None = None
    quantile_values: list[ValueAtQuantile] | None = None


class Gauge(_Message):
    """Points without an aggregation."""

    data_points: list[NumberDataPoint] | None = None


class Sum(_Message):
    """Points of a counter."""

    data_points: list[NumberDataPoint] | None = None
    aggregation_temporality: Int32 | None = None
    is_monotonic: bool | None = None


class Histogram(_Message):
    """Points of a histogram."""

    data_points: list[HistogramDataPoint] | None = None
    aggregation_temporality: Int32 | None = None


class ExponentialHistogram(_Message):
    """Points of an exponential histogram."""

    data_points: list[ExponentialHistogramDataPoint] | None = None
    aggregation_temporality: Int32 | None = None


class Summary(_Message):
    """Points of a summary."""

    data_points: list[SummaryDataPoint] | None = None


class Metric(_Message):
    """One metric; exactly one kind of data is set."""

    name: str | None = None
    description: str | None = None
    unit: str | None = None
    gauge: Gauge | None = None
    sum: Sum | None = None
    histogram: Histogram | None = None
    exponential_histogram: ExponentialHistogram | None = None
    summary: Summary | None = None
    metadata: list[KeyValue] | None = None


class ScopeMetrics(_Message):
    """The metrics of one library."""

    scope: InstrumentationScope | None = None
    metrics: list[Metric] | None = None
    schema_url: str | None = None


class ResourceMetrics(_Message):
    """The metrics of one resource."""

    resource: Resource | None = None
    scope_metrics: list[ScopeMetrics] | None = None
    schema_url: str | None = None


class MetricsRequest(_Message):
    """The body of POST /v1/metrics."""

    resource_metrics: list[ResourceMetrics] | None = None


T = TypeVar("T", TraceRequest, LogsRequest, MetricsRequest)
_DECODERS: dict[type, msgspec.json.Decoder[Any]] = {
    # Not strict: it is what lets numbers come as strings.
    request: msgspec.json.Decoder(request, strict=False)
    for request in (TraceRequest, LogsRequest, MetricsRequest)
}
# A backslash pair, a pair of surrogates, or (kept as group 1) a surrogate alone.
_SURROGATES = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)", re.DOTALL)


def decode(request: type[T], payload: bytes | bytearray) -> T:
    """A request of this type. Raises ``Malformed``, which names the field when there is one."""
    decoder: msgspec.json.Decoder[T] = _DECODERS[request]
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b"\\ud" not in payload and b"\\uD" not in payload:
            raise _malformed(error) from error
    try:  # half a surrogate pair is how Python and JavaScript spell a string that was no Unicode; the rest of it is good
        return decoder.decode(_SURROGATES.sub(lambda match: b"\\ufffd" if match[1] else match[0], bytes(payload)))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from error


def unhex(text: str | None) -> bytes:
    """The bytes of an id; none when it is not hex."""
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""


def _malformed(error: Exception) -> Malformed:
    message, _, place = str(error).partition(" - at `$")
    return Malformed(f"cannot decode OTLP-JSON: {message}", place.strip("`."))
