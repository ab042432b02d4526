"""The same telemetry as send.mjs, by the exporters of OpenTelemetry for Python: send.py KIND ENDPOINT SERVICE [gzip].

KIND is http (protobuf), grpc, or otlp-json: that writes traces only.
"""

from __future__ import annotations

import sys
import urllib.request
from importlib import import_module
from typing import Any

from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

KIND, ENDPOINT, SERVICE, *COMPRESSION = sys.argv[1:]
RESOURCE = Resource({"service.name": SERVICE, "host.name": "box"})


class JsonExporter(SpanExporter):
    """otlp-json, and a POST."""

    def export(self, spans: Any) -> SpanExportResult:
        """Raises when it is not answered 200."""
        import otlp_json

        headers = {"Content-Type": otlp_json.CONTENT_TYPE}
        request = urllib.request.Request(f"{ENDPOINT}/v1/traces", otlp_json.encode_spans(spans), headers)
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()
        return SpanExportResult.SUCCESS


def exporter(signal: str, path: str, name: str) -> Any:
    """OpenTelemetry's."""
    found = getattr(import_module(f"opentelemetry.exporter.otlp.proto.{KIND}.{signal}_exporter"), name)
    if KIND == "grpc":
        import grpc

        return found(endpoint=ENDPOINT, insecure=True, compression=grpc.Compression.Gzip if COMPRESSION else None)
    compression = import_module("opentelemetry.exporter.otlp.proto.http").Compression
    return found(endpoint=f"{ENDPOINT}/v1/{path}", compression=compression.Gzip if COMPRESSION else None)


def send_spans() -> Any:
    """Returns the context of the child."""
    provider = TracerProvider(resource=RESOURCE)
    chosen = JsonExporter() if KIND == "otlp-json" else exporter("trace", "traces", "OTLPSpanExporter")
    provider.add_span_processor(SimpleSpanProcessor(chosen))
    tracer = provider.get_tracer("contract", "1.2.3")
    root = tracer.start_span("root", kind=SpanKind.SERVER)
    inside = trace.set_span_in_context(root)
    about = {"text": 'é😀"', "whole": 9007199254740991, "half": 0.5, "yes": True, "list": ["a", "b"]}
    links = [Link(root.get_span_context(), {"why": "test"})]
    child = tracer.start_span("child", inside, SpanKind.CLIENT, about, links)
    child.add_event("happened", {"n": 1})
    child.set_status(Status(StatusCode.ERROR, "broke"))
    child.end()
    root.end()
    provider.shutdown()
    return trace.set_span_in_context(child)


def send_log(context: Any) -> None:
    """One log record, below the span of ``context``."""
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter("_log", "logs", "OTLPLogExporter")))
    provider.get_logger("contract", "1.2.3").emit(
        context=context, severity_number=SeverityNumber.WARN, severity_text="WARN", body='hello "é"', event_name="thing.happened",
        attributes={"n": 7, "map": {"in": {"deep": [1, "two", True]}}},
    )  # fmt: skip
    provider.shutdown()


def send_metrics() -> None:
    """A counter and two kinds of histogram."""
    reader = PeriodicExportingMetricReader(exporter("metric", "metrics", "OTLPMetricExporter"))
    views = [
        View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation()),
        View(instrument_name="took", aggregation=ExplicitBucketHistogramAggregation([1, 10])),
    ]
    provider = MeterProvider([reader], RESOURCE, views=views)
    meter = provider.get_meter("contract", "1.2.3")
    meter.create_counter("rows", "{row}").add(5, {"kind": "a"})
    took, size = meter.create_histogram("took", "s"), meter.create_histogram("size")
    for value in (0.5, 5, 50):
        took.record(value)
    for number in (1, 2, 4):
        size.record(number)
    provider.shutdown()


below = send_spans()
if KIND != "otlp-json":
    send_log(below)
    send_metrics()
