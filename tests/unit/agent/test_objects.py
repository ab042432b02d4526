"""Spool lines -> objects of opentelemetry-sdk -> protobuf: nothing is lost on the way."""

from __future__ import annotations

import json

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_messages import as_protobuf
from otlp_receiver import metrics_line, span_line, state_line

from rota.agent import objects, objects_metrics

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EVERY_KIND = [
    {"key": "text", "value": {"stringValue": 'zażółć 🦀 "\\\n'}},
    {"key": "empty text", "value": {"stringValue": ""}},
    {"key": "no", "value": {"boolValue": False}},
    {"key": "whole", "value": {"intValue": "-9223372036854775808"}},
    {"key": "zero", "value": {"intValue": "0"}},
    {"key": "half", "value": {"doubleValue": 0.5}},
    {"key": "infinite", "value": {"doubleValue": "-Infinity"}},
    {"key": "bytes", "value": {"bytesValue": "AAH/"}},
    {"key": "nothing", "value": {}},
    {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "b"}, {}]}}},
    {"key": "empty list", "value": {"arrayValue": {"values": []}}},
    {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}}},
]
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "etl"}}, *EVERY_KIND]}
SCOPE = {"name": "rota", "version": "1", "attributes": [{"key": "cicd.pipeline.run.id", "value": {"stringValue": "r"}}]}


def test_a_span_keeps_all_it_has():
    """Kind, times, parent, attributes, events, links, status, trace state, what was dropped; resource, scope, schema URLs."""
    span = {
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "parentSpanId": "00f067aa0ba902b7",
        "traceState": "a=1,b=2",
        "name": "wczytaj 🦀",
        "kind": 3,
        "startTimeUnixNano": "1700000000000000001",
        "endTimeUnixNano": "1700000000000000002",
        "attributes": EVERY_KIND,
        "droppedAttributesCount": 1,
        "droppedEventsCount": 2,
        "droppedLinksCount": 3,
        "events": [
            {"timeUnixNano": "1700000000000000003", "name": "e", "attributes": EVERY_KIND, "droppedAttributesCount": 4},
        ],
        "links": [
            {
                "traceId": TRACE_ID,
                "spanId": "00f067aa0ba902b7",
                "attributes": EVERY_KIND,
                "flags": 0x300,
                "droppedAttributesCount": 5,
            }
        ],
        "status": {"code": 2, "message": "źle"},
        "flags": 0x300,
    }
    request = {
        "resourceSpans": [
            {
                "resource": RESOURCE,
                "scopeSpans": [{"scope": SCOPE, "spans": [span], "schemaUrl": "s"}],
                "schemaUrl": "r",
            }
        ]
    }
    sent = encode_spans(objects.spans([json.dumps(request).encode()]))
    assert sent == as_protobuf(request, ExportTraceServiceRequest())


def test_an_event_keeps_all_it_has():
    """Event name, both times, severity, body, attributes of every kind, trace and span."""
    record = {
        "timeUnixNano": "1700000000000000001",
        "observedTimeUnixNano": "1700000000000000002",
        "severityNumber": 17,
        "severityText": "ERROR",
        "eventName": "rota.run.state",
        "body": {"kvlistValue": {"values": EVERY_KIND}},
        "attributes": EVERY_KIND,
        "droppedAttributesCount": 6,
        "traceId": TRACE_ID,
        "spanId": SPAN_ID,
        "flags": 1,
    }
    request = {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"scope": SCOPE, "logRecords": [record]}]}]}
    sent = encode_logs(objects.logs([json.dumps(request).encode()]))
    assert sent == as_protobuf(request, ExportLogsServiceRequest())


def test_what_is_absent_stays_absent():
    """A record without trace, body, severity and observed time gets none of them, and no time of now."""
    line = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"5"}]}]}]}'
    ((record,),) = [
        [*scoped.log_records] for group in encode_logs(objects.logs([line])).resource_logs for scoped in group.scope_logs
    ]
    assert (record.time_unix_nano, record.observed_time_unix_nano, record.trace_id, record.severity_number) == (5, 0, b"", 0)


def test_lines_of_one_resource_and_scope_become_one_group():
    """Many lines of a process make one group: the export is not larger than the spool."""
    lines = [state_line("running"), state_line("succeeded", at_ns=2_000)]
    (group,) = encode_logs(objects.logs(lines)).resource_logs
    assert [len(scoped.log_records) for scoped in group.scope_logs] == [2]
    (spans,) = encode_spans(objects.spans([span_line("a"), span_line("b")])).resource_spans
    assert [len(scoped.spans) for scoped in spans.scope_spans] == [2]


def test_what_the_agent_measures_survives():
    """Sums, gauges, their times and attributes, and the run that they are about."""
    line = metrics_line()
    assert encode_metrics(objects_metrics.metrics([line])) == as_protobuf(json.loads(line), ExportMetricsServiceRequest())
