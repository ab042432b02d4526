"""Delivery: what is sent as it is, what is refused, what is kept for later."""

from __future__ import annotations

import gzip
import json

import pytest
from otlp_receiver import Reply, metrics_line, receiver, span_line, state_line
from servers import free_ports

from rota.agent.answer import NotRota, Unavailable
from rota.agent.ship import REQUEST_BYTES, Shipper


@pytest.fixture
def server():
    """A receiver that says it is rota."""
    with receiver() as running:
        yield running


@pytest.fixture
def shipper(server, monkeypatch):
    """A shipper that is told to send there."""
    for name in ("ROTA_TOKEN", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_COMPRESSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    return Shipper()


def lines_of(server) -> list[int]:
    """How many resource groups each request carried."""
    return [len(json.loads(body).get("resourceLogs", [])) for _, body, _ in server.requests]


def test_lines_go_raw_and_together_to_a_collector_that_says_it_is_rota(server, shipper):
    """Several lines make one request, whose text is theirs."""
    lines = [state_line("running", at_ns=n).rstrip() for n in range(3)]
    assert shipper.ship("logs", lines) == []
    ((path, body, headers),) = server.requests
    assert path == "/v1/logs"
    assert headers["Content-Type"] == "application/json"
    groups = [json.loads(line)["resourceLogs"][0] for line in lines]
    assert json.loads(body) == {"resourceLogs": groups}


def test_each_signal_has_its_path(server, shipper):
    """Spans go to /v1/traces."""
    shipper.ship("traces", [span_line()])
    assert [path for path, _, _ in server.requests] == ["/v1/traces"]


def test_requests_stay_below_the_limit(server, shipper):
    """Many lines make several requests, none longer than the limit; no line is lost between them."""
    lines = [state_line("running", at_ns=n).rstrip() for n in range(2000)]
    shipper.ship("logs", lines)
    assert len(server.requests) > 1
    assert max(len(body) for _, body, _ in server.requests) <= REQUEST_BYTES
    assert sum(lines_of(server)) == 2000


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_line_takes_no_other_with_it(server, shipper, status):
    """The lines at fault are found; all others are delivered."""
    server.answer = lambda path, body: Reply(status if b'"intValue":"666"' in body else 200)
    lines = [state_line("running", at_ns=n, attempt=666 if n in (3, 8) else 1).rstrip() for n in range(11)]
    assert shipper.ship("logs", lines) == [3, 8]
    assert sum(body.count(b"timeUnixNano") for _, body in server.delivered) == 9


def test_a_partly_rejected_request_is_refused(server, shipper):
    """A 200 that counts rejected records does not pass for success."""
    reply = Reply(body=b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"bad id"}}')
    server.answer = lambda path, body: reply if b"bad" in body else Reply()
    assert shipper.ship("traces", [span_line("good"), span_line("bad")]) == [1]


def test_a_warning_is_no_rejection(server, shipper):
    """A partial success with a message and nothing rejected is success."""
    server.answer = lambda path, body: Reply(body=b'{"partialSuccess":{"rejectedLogRecords":"0","errorMessage":"old"}}')
    assert shipper.ship("logs", [state_line("running")]) == []


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504, 301, 302, 307])
def test_every_other_answer_keeps_the_lines(server, shipper, status):
    """No key, a wrong path, a busy or broken server, a redirect: nothing of it is the lines' fault."""
    server.answer = lambda path, body: Reply(status, headers=(("Location", "/elsewhere"),))
    with pytest.raises(Unavailable, match=f"{server.url}/v1/logs answered {status}"):
        shipper.ship("logs", [state_line("running")])


def test_the_server_may_ask_for_a_pause(server, shipper):
    """Retry-After reaches the caller."""
    shipper.ship("logs", [state_line("running")])
    server.answer = lambda path, body: Reply(503, headers=(("Retry-After", "7"),))
    with pytest.raises(Unavailable) as caught:
        shipper.ship("logs", [state_line("running")])
    assert caught.value.retry_after_seconds == 7


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("Fri, 31 Dec 9999 23:59:59 GMT", 1e9, 1e12), ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0), ("soon", 0, 0), ("nan", 0, 0)],
)
def test_a_pause_may_be_a_date(server, shipper, asked, least, most):
    """RFC 9110 allows both; what is neither asks for nothing."""
    server.answer = lambda path, body: Reply(429, headers=(("Retry-After", asked),))
    with pytest.raises(Unavailable) as caught:
        shipper.ship("logs", [state_line("running")])
    assert least <= caught.value.retry_after_seconds <= most


def test_a_closed_port_keeps_the_lines(monkeypatch):
    """Nobody there: the lines are for later."""
    (port,) = free_ports(1)
    monkeypatch.setenv("ROTA_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match="cannot reach"):
        Shipper().ship("logs", [state_line("running")])


def test_a_200_of_somebody_else_is_no_acknowledgement(server, shipper):
    """When the server stops saying that it is rota, its 200 counts for nothing, and it is asked again."""
    shipper.ship("logs", [state_line("running")])
    server.answer = lambda path, body: Reply(is_rota=False)
    with pytest.raises(NotRota):
        shipper.ship("logs", [state_line("running")])
    server.answer = lambda path, body: Reply()
    assert shipper.ship("logs", [state_line("running")]) == []


def test_a_key_is_sent(server, monkeypatch):
    """ROTA_TOKEN goes with every request."""
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    monkeypatch.setenv("ROTA_TOKEN", "k-1")
    Shipper().ship("logs", [state_line("running")])
    assert server.requests[0][2]["Authorization"] == "Bearer k-1"


def test_compression_is_honoured(server, monkeypatch):
    """OTEL_EXPORTER_OTLP_COMPRESSION=gzip."""
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    bodies = []

    def unpack(path: str, body: bytes) -> Reply:
        bodies.append(gzip.decompress(body))
        return Reply()

    server.answer = unpack
    Shipper().ship("logs", [state_line("running")])
    assert b"rota.run.state" in bodies[-1]
    assert server.requests[-1][2]["Content-Encoding"] == "gzip"


def test_no_proxy_stands_between_two_programs_of_one_machine(server, monkeypatch):
    """A proxy of the environment is for other hosts."""
    (port,) = free_ports(1)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    assert Shipper().ship("logs", [state_line("running")]) == []


LINE_OF = {"logs": state_line("running"), "traces": span_line(), "metrics": metrics_line()}


@pytest.mark.parametrize("signal", LINE_OF)
def test_a_server_that_is_not_rota_gets_the_official_exporters_protobuf(server, monkeypatch, signal):
    """Raw lines go only to a collector that says it is rota."""
    server.answer = lambda path, body: Reply(is_rota=False, body=b"")
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    shipper = Shipper()
    assert shipper.ship(signal, [LINE_OF[signal]]) == []
    shipper.close()
    types = {headers["Content-Type"] for path, _, headers in server.requests if path == f"/v1/{signal}"}
    assert types == {"application/x-protobuf"}


def test_a_foreign_server_that_refuses_a_line_takes_the_others(server, monkeypatch):
    """Halving works through the official exporter too: it is told why an export failed."""
    server.answer = lambda path, body: Reply(400 if b"bad" in body else 200, is_rota=False)
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    shipper = Shipper()
    assert shipper.ship("traces", [span_line("good"), span_line("bad"), span_line("fine")]) == [1]
    assert shipper.ship("logs", [state_line("bad"), state_line("running")]) == [0]
    shipper.close()


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_a_foreign_server_that_fails_keeps_the_lines(server, monkeypatch, status):
    """What the official exporter cannot deliver is kept; a redirect is no delivery."""
    server.answer = lambda path, body: Reply(status, is_rota=False)
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    shipper = Shipper(is_rota=False)
    with pytest.raises(Unavailable, match=str(status)):
        shipper.ship("traces", [span_line()])
    shipper.close()


def test_a_line_of_another_shape_is_refused_before_it_is_exported(server, monkeypatch):
    """JSON that is no OTLP cannot be exported: it is named, the rest goes."""
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    shipper = Shipper(is_rota=False)
    assert shipper.ship("traces", [b'{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}', span_line()]) == [0]
    shipper.close()


def test_grpc_that_nobody_serves_keeps_the_lines(monkeypatch):
    """A closed gRPC port: the lines are for later."""
    (port,) = free_ports(1)
    monkeypatch.delenv("ROTA_ENDPOINT", raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    shipper = Shipper()
    with pytest.raises(Unavailable, match=r"UNAVAILABLE|did not take"):
        shipper.ship("traces", [span_line()])
    shipper.close()


def test_a_key_is_read_again_for_each_request(server, monkeypatch, tmp_path):
    """An agent lives longer than a key: what ROTA_TOKEN_FILE holds now is sent, and what it held before is not."""
    monkeypatch.delenv("ROTA_TOKEN", raising=False)
    monkeypatch.setenv("ROTA_ENDPOINT", server.url)
    monkeypatch.setenv("ROTA_TOKEN_FILE", str(tmp_path / "key"))
    shipper = Shipper()
    for key in (None, "ri_one", "ri_two"):
        if key:
            (tmp_path / "key").write_text(key + "\n")
        shipper.ship("logs", [state_line("running").rstrip()])
    (tmp_path / "key").unlink()  # or it may not be read any more: no key is taken away by that
    shipper.ship("logs", [state_line("running").rstrip()])
    sent = [headers.get("Authorization") for _, _, headers in server.requests]
    assert sent == [None, "Bearer ri_one", "Bearer ri_two", "Bearer ri_two"]


@pytest.mark.parametrize("status", [401, 403])
def test_what_is_refused_for_want_of_a_key_is_kept(server, shipper, status):
    """The lines are not at fault: they wait for a key."""
    server.answer = lambda path, body: Reply(status)
    with pytest.raises(Unavailable, match=str(status)):
        shipper.ship("logs", [state_line("running").rstrip()])
