"""Clients that nobody here wrote, against a real collector: what they were told to send is what the collector shows."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import foreign
import httpx
import pytest
from collectors import CollectorProcess, clean_environment, until

EXAMPLES = Path(__file__).parent / "examples"
SPANS = """
SELECT s.name, p.name AS parent, s.kind, s.status, s.status_message, s.duration_ns >= 0 AS took, s.attributes, s.events, s.links,
       s.scope, s.scope_version, s.host
FROM spans s LEFT JOIN spans p ON p.trace_id = s.trace_id AND p.span_id = s.parent_span_id
WHERE s.service = '{}' ORDER BY s.name DESC
"""
LOGS = """
SELECT l.body, l.severity, l.severity_text, l.event_name, l.attributes, s.name AS span, l.scope, l.host
FROM logs l LEFT JOIN spans s ON s.trace_id = l.trace_id AND s.span_id = l.span_id WHERE l.service = '{}'
"""
METRICS = (
    "SELECT name, unit, kind, value, count, sum, attributes, point, scope, host FROM metrics WHERE service = '{}' ORDER BY name"
)

SERVER, CLIENT = 2, 3
ABOUT = {"text": 'é😀"', "whole": 9007199254740991, "half": 0.5, "yes": True, "list": ["a", "b"]}
PLACE = {"scope": "contract", "host": "box"}


@pytest.fixture(scope="module")
def collector(tmp_path_factory) -> Iterator[CollectorProcess]:
    """A collector that all clients of this module send to, each as a service of its own."""
    folder = tmp_path_factory.mktemp("foreign")
    found = CollectorProcess(folder / "home", folder / "stderr", ROTA_GRPC="127.0.0.1:0").start()
    yield found
    found.close()


def sql(collector: CollectorProcess, query: str, service: str) -> list[dict[str, Any]]:
    answer = collector.post("/api/v1/sql", {"query": query.format(service)})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def data(value: Any) -> Any:
    """A column of JSON, read; text that is none stays."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def run(command: list[Any], **settings: str) -> None:
    done = subprocess.run(
        list(map(str, command)), env=clean_environment(**settings), capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


def send_from_node(kind: str, endpoint: str, service: str, *more: str) -> None:
    folder = foreign.node()
    run(["node", folder / "send.mjs", kind, endpoint, service, *more])


def send_from_python(kind: str, endpoint: str, service: str, *more: str) -> None:
    run([sys.executable, foreign.CLIENTS / "send.py", kind, endpoint, service, *more], PYTHONPATH=str(foreign.python()))


def assert_spans(
    collector: CollectorProcess, service: str, kinds: tuple[int, int] = (SERVER, CLIENT), links: Sequence[str] = ("test",)
) -> None:
    """Both spans, their places and all that the second was told."""
    root, child = sql(collector, SPANS, service)
    event, linked = data(child.pop("events"))[0], data(child.pop("links")) or ()
    assert data(child.pop("attributes")) == ABOUT
    assert child == {
        "name": "child", "parent": "root", "kind": kinds[1], "status": 2, "status_message": "broke", "took": True, **PLACE,
        "scope_version": "1.2.3",
    }  # fmt: skip
    assert (root["name"], root["parent"], root["kind"], root["status"]) == ("root", None, kinds[0], 0)
    assert (event["name"], event["attributes"]) == ("happened", {"n": 1})
    assert [link["attributes"]["why"] for link in linked] == list(links)


def assert_logs(collector: CollectorProcess, service: str) -> None:
    """The record, with its nested attributes, at its span."""
    (log,) = sql(collector, LOGS, service)
    assert data(log.pop("attributes")) == {"n": 7, "map": {"in": {"deep": [1, "two", True]}}}
    assert log == {
        "body": 'hello "é"', "severity": 13, "severity_text": "WARN", "event_name": "thing.happened", "span": "child", **PLACE
    }  # fmt: skip


def assert_metrics(collector: CollectorProcess, service: str) -> None:
    """A sum of integers, a histogram with its buckets, an exponential one with its."""
    rows, size, took = sql(collector, METRICS, service)
    assert (rows["name"], rows["unit"], rows["kind"], data(rows["attributes"])) == ("rows", "{row}", "sum", {"kind": "a"})
    point = data(rows["point"])
    assert (point["asInt"], point["isMonotonic"], point["aggregationTemporality"]) == ("5", True, 2)
    assert (took["name"], took["unit"], took["kind"], took["count"], took["sum"]) == ("took", "s", "histogram", 3, 55.5)
    point = data(took["point"])
    assert (point["bucketCounts"], point["explicitBounds"]) == (["1", "1", "1"], [1.0, 10.0])
    assert (point["min"], point["max"]) == (0.5, 50.0)
    assert (size["name"], size["kind"], size["count"], size["sum"]) == ("size", "exponential_histogram", 3, 7.0)
    assert sum(map(int, data(size["point"])["positive"]["bucketCounts"])) == 3
    assert data(size["point"])["startTimeUnixNano"] != "0"


def assert_all(collector: CollectorProcess, service: str) -> None:
    collector.applied()
    assert_spans(collector, service)
    assert_logs(collector, service)
    assert_metrics(collector, service)


def endpoint_of(collector: CollectorProcess, kind: str) -> str:
    return f"http://{collector.addresses['grpc']}" if kind == "grpc" else collector.url


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("kind", ["http", "proto", "grpc"])
def test_the_exporters_for_javascript(collector, kind, compression):
    """OpenTelemetry's npm exporters, as JSON, protobuf and gRPC: three signals arrive as they were recorded."""
    service = f"node-{kind}-{compression}"
    send_from_node(kind, endpoint_of(collector, kind), service, compression)
    assert_all(collector, service)


@pytest.mark.parametrize("compression", [(), ("gzip",)], ids=["none", "gzip"])
@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_the_exporters_for_python(collector, kind, compression):
    """OpenTelemetry's Python exporters, as protobuf and gRPC: three signals arrive as they were recorded."""
    service = "-".join(("python", kind, *compression))
    send_from_python(kind, endpoint_of(collector, kind), service, *compression)
    assert_all(collector, service)


def test_otlp_json_of_others(collector):
    """otlp-json, which writes OTLP-JSON by itself, though no links and not quite the kinds: its spans arrive as written."""
    send_from_python("otlp-json", collector.url, "otlp-json")
    collector.applied()
    assert_spans(collector, "otlp-json", kinds=(SERVER - 1, CLIENT - 1), links=())


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def rotel(collector, tmp_path) -> Iterator[Callable[[str], str]]:
    """Starts rotels that pass on to the collector what they are sent; returns where one listens for HTTP."""
    running: list[subprocess.Popen[bytes]] = []

    def start(protocol: str) -> str:
        http, grpc = free_port(), free_port()
        said = open(tmp_path / "rotel.log", "wb")  # noqa: SIM115 - rotel's, as long as it runs
        with said:
            running.append(
                subprocess.Popen(
                    [
                        foreign.python() / "rotel" / "rotel-agent", "start", "--exporter", "otlp",
                        "--otlp-http-endpoint", f"127.0.0.1:{http}", "--otlp-grpc-endpoint", f"127.0.0.1:{grpc}",
                        "--otlp-exporter-endpoint", endpoint_of(collector, protocol), "--otlp-exporter-protocol", protocol,
                        "--batch-timeout", "200ms",
                    ],
                    env={**os.environ, "NO_PROXY": "127.0.0.1"}, stdout=said, stderr=said,
                )
            )  # fmt: skip
        until(lambda: listens(http), "rotel to listen")
        return f"http://127.0.0.1:{http}"

    yield start
    for process in running:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_rotel_passes_on(collector, rotel, protocol):
    """rotel's exporter (Rust; gzip unless told otherwise), as protobuf and gRPC: what it passes on arrives as it was recorded."""
    service = f"rotel-{protocol}"
    send_from_python("http", rotel(protocol), service)
    for table, rows in (("spans", 2), ("logs", 1), ("metrics", 3)):
        query = f"SELECT count(*) AS n FROM {table} WHERE service = '{{}}'"
        until(lambda query=query, rows=rows: sql(collector, query, service)[0]["n"] == rows, f"{rows} {table} from rotel")
    assert_all(collector, service)


@pytest.mark.parametrize(
    ("file", "path", "query", "expected"),
    [
        (
            "trace", "traces",
            "SELECT name, trace_id AS trace, lower(hex(span_id)) AS span, kind, attributes FROM spans",
            [{"name": "I'm a server span", "trace": "5b8efff7-9803-8103-d269-b633813fc60c", "span": "eee19b7ec3c1b174", "kind": 2,
              "attributes": {"my.span.attr": "some value"}}],
        ),
        (
            "logs", "logs", "SELECT body, severity, severity_text, attributes FROM logs WHERE event_name IS NULL",
            [{"body": "Example log record", "severity": 10, "severity_text": "Information", "attributes": {
                "string.attribute": "some string", "boolean.attribute": True, "int.attribute": 10, "double.attribute": 637.704,
                "array.attribute": ["many", "values"], "map.attribute": {"some.map.key": "some value"}}}],
        ),
        (
            "events", "logs", "SELECT event_name, body, severity, attributes FROM logs WHERE event_name IS NOT NULL",
            [{"event_name": "browser.page_view", "severity": 9, "attributes": {"event.attribute": "some event attribute"},
              "body": {"type": 0, "url": "https://www.guidgenerator.com/online-guid-generator.aspx", "referrer": "https://wwww.google.com",
                "title": "Free Online GUID Generator"}}],
        ),
        (
            "metrics", "metrics", "SELECT name, kind, value, count, sum FROM metrics",
            [{"name": "my.counter", "kind": "sum", "value": 5.0, "count": None, "sum": None},
             {"name": "my.exponential.histogram", "kind": "exponential_histogram", "value": None, "count": 3, "sum": 10.0},
             {"name": "my.gauge", "kind": "gauge", "value": 10.0, "count": None, "sum": None},
             {"name": "my.histogram", "kind": "histogram", "value": None, "count": 2, "sum": 2.0}],
        ),
    ],
    ids=["trace", "logs", "events", "metrics"],
)  # fmt: skip
def test_the_examples_of_the_specification(collector, file, path, query, expected):
    """Each example of opentelemetry-proto is accepted whole, and its records are there with what they say."""
    example = (EXAMPLES / f"{file}.json").read_bytes()
    answer = httpx.post(
        f"{collector.url}/v1/{path}", content=example, headers={"content-type": "application/json"}, trust_env=False
    )
    assert (answer.status_code, answer.json()) == (200, {})
    ours = query + (" AND" if "WHERE" in query else " WHERE") + " service = '{}' ORDER BY ALL"
    found = sql(collector.applied(), ours, "my.service")
    assert [
        {name: data(value) if name in ("attributes", "body") else value for name, value in row.items()} for row in found
    ] == expected
