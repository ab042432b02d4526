"""Requests → rows: what each column says, and what becomes of the odd ones."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import pytest
from decoded import only, rows
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from otlp_messages import RUN, T0, TRACE, attributes, log, logs, record, span, traces

from rota.wire import names
from rota_collector import decode
from rota_collector.decode import to_rows
from rota_collector.journal import Signal

BOTH = pytest.mark.parametrize("signal", [Signal.TRACES_PROTO, Signal.TRACES_JSON], ids=["protobuf", "json"])
BOTH_LOGS = pytest.mark.parametrize("signal", [Signal.LOGS_PROTO, Signal.LOGS_JSON], ids=["protobuf", "json"])
EVENT = "0189f0c0-a1b2-7c3d-8e4f-000000000001"


@BOTH
def test_a_span_has_its_columns(signal: Signal) -> None:
    """Ids, times, kind, status and names of a span are columns of their proper types."""
    one = span(7, parent_span_id=(6).to_bytes(8, "big"), kind=2, status=Status(code=2, message="boom"), flags=0x301)
    row = only(to_rows.spans([record(traces(one, resource={"service.name": "etl", "host.name": "box"}), signal)]))
    expected = {
        "trace_id": uuid.UUID(bytes=TRACE), "span_id": 7, "parent_span_id": 6, "name": "span 7", "kind": 2,
        "started_at": T0 + 7 * 10**9, "duration_ns": 5 * 10**6, "status": 2, "status_message": "boom", "flags": 1,
        "service": "etl", "host": "box", "scope": "tests", "attributes": {}, "events": None, "links": None,
        "resource": {"service.name": "etl", "host.name": "box"}, "run_id": None, "workflow": None, "task": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


@BOTH
@pytest.mark.parametrize("place", ["span", "scope", "resource"])
def test_run_and_workflow_come_from_the_nearest(signal: Signal, place: str) -> None:
    """Run id and workflow are those of the span, else of its scope, else of its resource."""
    known = ["span", "scope", "resource"]
    told = {
        at: {names.RUN_ID: str(uuid.UUID(int=i)), names.WORKFLOW: at} for i, at in enumerate(known) if i >= known.index(place)
    }
    request = traces(span(1, told.get("span", {})), scope=told.get("scope", {}), resource=told["resource"])
    row = only(to_rows.spans([record(request, signal)]))
    assert (row["workflow"], row["run_id"]) == (place, uuid.UUID(int=known.index(place)))


@BOTH
def test_what_stands_above_goes_to_its_own_spans(signal: Signal) -> None:
    """With several resources, scopes and requests, each span gets what stands above it and nothing else."""
    requests = []
    for i in range(3):
        request = traces(resource={"service.name": f"service {i}"}, scope={names.WORKFLOW: f"first {i}"})
        second = request.resource_spans[0].scope_spans.add()
        second.scope.attributes.extend(attributes({names.WORKFLOW: f"second {i}"}))
        second.spans.append(span(10 + i))
        other = request.resource_spans.add()
        other.scope_spans.add().spans.append(span(20 + i))
        requests.append(record(request, signal, offset=i))
    found = {row["span_id"]: (row["service"], row["workflow"]) for row in rows(to_rows.spans(requests))}
    assert found == {10 + i: (f"service {i}", f"second {i}") for i in range(3)} | {20 + i: (None, None) for i in range(3)}


@BOTH
def test_events_and_links_are_json(signal: Signal) -> None:
    """Events and links of a span are JSON arrays named as in OTLP-JSON; without any the column is NULL."""
    one = span(
        events=[Span.Event(time_unix_nano=5, name='a "b"', attributes=attributes({"k": [1, "x"]})), Span.Event(name="c")],
        links=[Span.Link(trace_id=TRACE, span_id=bytes(range(8)), attributes=attributes({"why": "retry"}))],
    )
    first, second = rows(to_rows.spans([record(traces(one, span(2)), signal)]))
    assert first["events"] == [
        {"timeUnixNano": "5", "name": 'a "b"', "attributes": {"k": [1, "x"]}},
        {"timeUnixNano": "0", "name": "c", "attributes": {}},
    ]
    assert first["links"] == [{"traceId": TRACE.hex(), "spanId": "0001020304050607", "attributes": {"why": "retry"}}]
    assert (second["events"], second["links"]) == (None, None)


@BOTH
def test_events_and_links_say_what_was_left_out(signal: Signal) -> None:
    """Counts of dropped attributes, flags and trace states are there where they were sent."""
    about = {"trace_id": TRACE, "span_id": bytes(range(8))}
    one = span(
        events=[Span.Event(name="a", dropped_attributes_count=2), Span.Event(name="b")],
        links=[Span.Link(**about, trace_state='a="1"', flags=257), Span.Link(**about, dropped_attributes_count=2**32 - 1)],
    )
    (found,) = rows(to_rows.spans([record(traces(one), signal)]))
    assert [event.get("droppedAttributesCount") for event in found["events"]] == [2, None]
    rest = [
        {key: value for key, value in link.items() if key not in ("traceId", "spanId", "attributes")} for link in found["links"]
    ]
    assert rest == [{"traceState": 'a="1"', "flags": 257}, {"droppedAttributesCount": 2**32 - 1}]


@BOTH
@pytest.mark.parametrize(
    "ids",
    [{"trace_id": TRACE[:15]}, {"trace_id": b""}, {"span_id": bytes(8)}, {"span_id": b"123456789"}, {"trace_id": bytes(16)}],
    ids=["short trace id", "no trace id", "zero span id", "long span id", "zero trace id"],
)
def test_spans_without_a_valid_id_are_left_out_and_counted(signal: Signal, ids: dict[str, bytes]) -> None:
    """A span whose ids are not ids is no row; the check counts it and says why, so that the answer can."""
    request = record(traces(span(1), span(2, **ids), span(3)), signal)
    assert [row["span_id"] for row in rows(to_rows.spans([request]))] == [1, 3]
    accepted = decode.check(request.signal, request.payload)
    assert accepted.rejected == 1
    assert "1 spans" in accepted.reason


@BOTH
def test_a_wrong_parent_is_no_parent(signal: Signal) -> None:
    """A parent id of the wrong length is dropped; the span is kept."""
    assert only(to_rows.spans([record(traces(span(parent_span_id=b"123")), signal)]))["parent_span_id"] is None


@BOTH
def test_times_beyond_the_calendar_are_held(signal: Signal) -> None:
    """A time that TIMESTAMP_NS cannot hold becomes the last that it can; an end that is not told gives no duration."""
    request = traces(span(1, start_time_unix_nano=2**64 - 1, end_time_unix_nano=2**64 - 1), span(2, end_time_unix_nano=0))
    first, second = rows(to_rows.spans([record(request, signal)]))
    assert (first["started_at"], first["duration_ns"]) == (2**63 - 2, 0)
    assert second["duration_ns"] is None


@BOTH
def test_undefined_enums_are_unspecified(signal: Signal) -> None:
    """A kind or status that was never defined is 0, not an error."""
    row = only(to_rows.spans([record(traces(span(kind=-5, status=Status(code=4711))), signal)]))
    assert (row["kind"], row["status"]) == (0, 0)


@BOTH
def test_a_run_id_that_is_no_uuid_is_still_one_run(signal: Signal) -> None:
    """A foreign run id becomes a UUID, always the same for the same text, and the one that uuid_of gives."""
    request = record(traces(span(1, {names.RUN_ID: "build-17"}), span(2, {names.RUN_ID: "build-17"})), signal)
    assert {row["run_id"] for row in rows(to_rows.spans([request]))} == {to_rows.uuid_of("build-17")}


@BOTH
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (1.0, "1.0"), (-0.0, "-0.0"), (1e300, "1e+300"), (10**15 * 1.0, None), (math.nan, '"NaN"'), (math.inf, '"Infinity"'),
        (-math.inf, '"-Infinity"'), (2**63 - 1, str(2**63 - 1)), (-(2**63), str(-(2**63))), (True, "true"), (None, "null"),
        ('\x00\x1f\n\t"\\/é\u2028😀', None), (b"\x00\xff", '"AP8="'), ([], "[]"), ({}, "{}"),
        ([1, [2.0, {"a": [None, b"x"]}]], None), ("", '""'), ("null", '"null"'),
    ],
    ids=repr,
)  # fmt: skip
def test_each_kind_of_value_has_its_json(signal: Signal, data: Any, text: str | None) -> None:
    """Integers stay exact, doubles look like doubles, what JSON has no number for is a string, bytes are base64."""
    table = to_rows.spans([record(traces(span(1, {"k": data, "z": "end"})), signal)])
    stored = table.column("attributes")[0].as_py()
    assert json.loads(stored)["z"] == "end"
    if text is not None:
        assert stored == f'{{"k":{text},"z":"end"}}'
    elif isinstance(data, list):
        assert json.loads(stored)["k"] == [1, [2.0, {"a": [None, "eA=="]}]]
    else:
        assert json.loads(stored)["k"] == data


@BOTH
def test_duplicate_keys_stay_and_the_first_counts(signal: Signal) -> None:
    """Nothing is dropped from duplicate keys; promoted columns take the first, as JSON queries in the database do."""
    row = to_rows.spans([record(traces(span(1, [(names.TASK_NAME, "one"), ("x", 1), (names.TASK_NAME, "two")])), signal)])
    assert row.column("attributes")[0].as_py() == f'{{"{names.TASK_NAME}":"one","x":1,"{names.TASK_NAME}":"two"}}'
    assert row.column("task")[0].as_py() == "one"


def test_no_records_are_an_empty_table() -> None:
    """Nothing in gives no rows, with all columns."""
    for table, signal in (
        (to_rows.spans, Signal.TRACES_PROTO),
        (to_rows.logs, Signal.LOGS_PROTO),
        (to_rows.metrics, Signal.METRICS_PROTO),
    ):
        for records in ([], [record(b"", signal)]):
            assert table(records).num_rows == 0
            assert "resource" in table(records).column_names


@BOTH_LOGS
def test_a_log_record_has_its_columns(signal: Signal) -> None:
    """Time, severity, event name and id, body, and the run that it belongs to are columns."""
    one = log(
        3, {names.RUN_ID: RUN, names.EVENT_ID: EVENT, names.TASK_NAME: "load"},
        trace_id=TRACE, span_id=bytes(range(8)), severity_text="WARN", event_name="it.happened", severity_number=13,
    )  # fmt: skip
    one.body.string_value = 'said "x"'
    row = only(to_rows.logs([record(logs(one, scope={names.WORKFLOW: "etl"}), signal)]))
    expected = {
        "logged_at": T0 + 3 * 10**9, "trace_id": uuid.UUID(bytes=TRACE), "span_id": 0x0001020304050607, "run_id": uuid.UUID(RUN),
        "workflow": "etl", "task": "load", "event_name": "it.happened", "event_id": uuid.UUID(EVENT), "severity": 13,
        "severity_text": "WARN", "body": 'said "x"',
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected


@BOTH_LOGS
def test_a_log_with_wrong_ids_is_kept_uncorrelated(signal: Signal) -> None:
    """A log record with ids that are none is a row without them, and is not counted as rejected."""
    request = record(logs(log(trace_id=b"short", span_id=bytes(8))), signal)
    row = only(to_rows.logs([request]))
    assert (row["trace_id"], row["span_id"]) == (None, None)
    assert decode.check(request.signal, request.payload).rejected == 0


@BOTH_LOGS
@pytest.mark.parametrize(
    ("body", "text"), [(None, None), ("null", "null"), (5, "5"), ({"a": [1]}, '{"a":[1]}'), ("", "")], ids=repr
)
def test_a_body_is_text(signal: Signal, body: Any, text: str | None) -> None:
    """A string body is stored as it is, any other as JSON, none as NULL."""
    one = log(1)
    one.body.CopyFrom(attributes({"body": body})[0].value)
    assert only(to_rows.logs([record(logs(one, log(2)), signal)][:1]).slice(0, 1))["body"] == text


@BOTH_LOGS
def test_a_log_without_a_time_has_the_next_best(signal: Signal) -> None:
    """Without its own time a record has that of its observation, else that of its arrival."""
    request = logs(log(1, time_unix_nano=0, observed_time_unix_nano=42), log(2, time_unix_nano=0))
    times = [row["logged_at"] for row in rows(to_rows.logs([record(request, signal, received_ns=99)]))]
    assert times == [42, 99]


METRICS = pytest.mark.parametrize("signal", [Signal.METRICS_PROTO, Signal.METRICS_JSON], ids=["protobuf", "json"])


def metrics_request() -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    above = request.resource_metrics.add()
    above.resource.attributes.extend(attributes({"service.name": "etl", names.RUN_ID: RUN}))
    scope = above.scope_metrics.add()
    gauge = scope.metrics.add(name="cpu", unit="1")
    gauge.gauge.data_points.add(time_unix_nano=T0, as_double=0.5, attributes=attributes({"core": 1}))
    counter = scope.metrics.add(name="rows")
    point = counter.sum.data_points.add(time_unix_nano=T0 + 1, as_int=2**60)
    point.exemplars.add(trace_id=TRACE, span_id=bytes(range(8)), as_int=1)
    counter.sum.is_monotonic = True
    counter.sum.aggregation_temporality = 2
    scope.metrics.add(name="h").histogram.data_points.add(
        time_unix_nano=T0 + 2, count=3, sum=1.5, bucket_counts=[1, 2], explicit_bounds=[0.5], min=0.1
    )
    exponential = scope.metrics.add(name="e").exponential_histogram.data_points.add(time_unix_nano=T0 + 3, count=4, scale=-2)
    exponential.positive.offset = -1
    exponential.positive.bucket_counts.extend([1, 3])
    summary = scope.metrics.add(name="s").summary.data_points.add(time_unix_nano=0, count=5, sum=math.inf)
    summary.quantile_values.add(quantile=0.5, value=math.nan)
    scope.metrics.add(name="nothing")
    return request


@METRICS
def test_points_of_every_shape_are_kept(signal: Signal) -> None:
    """Each point is a row with what all have in common; the rest of it is JSON, named as in OTLP-JSON."""
    found = {row["name"]: row for row in rows(to_rows.metrics([record(metrics_request(), signal, received_ns=7)]))}
    assert [(name, row["kind"], row["value"], row["count"], row["sum"]) for name, row in found.items()] == [
        ("cpu", "gauge", 0.5, None, None), ("rows", "sum", float(2**60), None, None), ("h", "histogram", None, 3, 1.5),
        ("e", "exponential_histogram", None, 4, None), ("s", "summary", None, 5, math.inf),
    ]  # fmt: skip
    assert (found["cpu"]["unit"], found["cpu"]["attributes"], found["cpu"]["measured_at"]) == ("1", {"core": 1}, T0)
    assert {(row["run_id"], row["service"]) for row in found.values()} == {(uuid.UUID(RUN), "etl")}
    rest = found["rows"]["point"]
    assert (rest["asInt"], rest["isMonotonic"], rest["aggregationTemporality"]) == (str(2**60), True, 2)
    assert (rest["exemplars"][0]["traceId"], rest["exemplars"][0]["spanId"]) == (TRACE.hex(), "0001020304050607")
    assert found["h"]["point"] | {"bucketCounts": ["1", "2"], "explicitBounds": [0.5], "min": 0.1} == found["h"]["point"]
    assert found["e"]["point"]["positive"] == {"offset": -1, "bucketCounts": ["1", "3"]}
    assert found["s"]["point"]["quantileValues"] == [{"quantile": 0.5, "value": "NaN"}]
    assert found["s"]["measured_at"] == 7


NESTED = {"list": [1, "two", [3.0, None], b"\x00"], "map": {"in": {"deeper": True}}, "big": 2**63 - 1}
AS_JSON = {"list": [1, "two", [3.0, None], "AA=="], "map": {"in": {"deeper": True}}, "big": 2**63 - 1}


@METRICS
@pytest.mark.parametrize("number", [2**53 + 1, -(2**63), 2**63 - 1, 0])
def test_integers_keep_their_digits(signal: Signal, number: int) -> None:
    """A sum or gauge of integers is exact to 64 bits in the point, where a double would round it; exemplars likewise."""
    for kind in ("sum", "gauge"):
        point = NumberDataPoint(as_int=number, exemplars=[Exemplar(as_int=number)])
        found = one_point(Metric(name="n", **{kind: {"data_points": [point]}}), signal)
        assert (found["point"]["asInt"], found["point"]["exemplars"][0]["asInt"]) == (str(number), str(number))
        assert found["value"] == float(number)


@METRICS
def test_attributes_of_points_and_exemplars_keep_their_shape(signal: Signal) -> None:
    """Lists, maps, bytes and nothing survive at every depth: in a point's attributes and in its exemplars'."""
    exemplar = Exemplar(time_unix_nano=3, as_double=0.5, trace_id=TRACE, span_id=bytes(range(8)))
    exemplar.filtered_attributes.extend(attributes(NESTED))
    point = NumberDataPoint(as_double=1, attributes=attributes(NESTED), exemplars=[exemplar])
    found = one_point(Metric(name="n", gauge={"data_points": [point]}), signal)
    assert found["attributes"] == AS_JSON
    assert found["point"]["exemplars"] == [
        {
            "filteredAttributes": AS_JSON,
            "timeUnixNano": "3",
            "asDouble": 0.5,
            "traceId": TRACE.hex(),
            "spanId": "0001020304050607",
        }
    ]


@METRICS
def test_an_exponential_histogram_is_kept_whole(signal: Signal) -> None:
    """Scale, both halves with their offsets, zeros and their threshold, extremes, flags and start time are in the point."""
    point = ExponentialHistogramDataPoint(
        start_time_unix_nano=5, time_unix_nano=T0, count=2**63, sum=-1.5, scale=-10, zero_count=2**53 + 1, zero_threshold=0.25,
        positive={"offset": -2**31, "bucket_counts": [0, 2**63]}, negative={"offset": 3, "bucket_counts": [1]},
        min=-9, max=9, flags=1,
    )  # fmt: skip
    found = one_point(Metric(name="n", exponential_histogram={"data_points": [point], "aggregation_temporality": 1}), signal)
    assert (found["count"], found["sum"]) == (2**63, -1.5)
    assert found["point"] == {
        "startTimeUnixNano": "5", "scale": -10, "zeroCount": str(2**53 + 1), "zeroThreshold": 0.25,
        "positive": {"offset": -2**31, "bucketCounts": ["0", str(2**63)]}, "negative": {"offset": 3, "bucketCounts": ["1"]},
        "min": -9.0, "max": 9.0, "flags": 1, "aggregationTemporality": 1,
    }  # fmt: skip


@METRICS
def test_what_was_not_measured_is_not_zero(signal: Signal) -> None:
    """A point without a recorded value and a histogram without a sum have none; a sum of 0 is 0."""
    assert one_point(Metric(name="n", gauge={"data_points": [NumberDataPoint(flags=1)]}), signal)["value"] is None
    for given, expected in ((HistogramDataPoint(count=1), None), (HistogramDataPoint(count=1, sum=0), 0.0)):
        assert one_point(Metric(name="n", histogram={"data_points": [given]}), signal)["sum"] == expected


@METRICS
def test_what_a_metric_says_of_itself_is_kept(signal: Signal) -> None:
    """Description and metadata are with the points."""
    metric = Metric(
        name="n", description="how many", metadata=attributes({"a": [1]}), gauge={"data_points": [NumberDataPoint(as_int=1)]}
    )
    point = one_point(metric, signal)["point"]
    assert (point["description"], point["metadata"]) == ("how many", {"a": [1]})


def one_point(metric: Metric, signal: Signal) -> dict[str, Any]:
    """The row that the only point of a metric becomes."""
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.append(metric)
    (found,) = rows(to_rows.metrics([record(request, signal)]))
    return found
