"""`rota doctor`: each thing that can be wrong between a script and its collector has a line, and a wrong one fails."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rota import cli
from rota.cli import doctor


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """A home that is there and empty, and no other rota."""
    for name in list(os.environ):
        if name.startswith(("ROTA_", "OTEL_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    (home / "spool").mkdir(parents=True)
    monkeypatch.setenv("ROTA_HOME", str(home))
    monkeypatch.setenv("ROTA_AGENT", "off")
    return home


@pytest.fixture
def endpoint(monkeypatch):
    """A server that answers as a collector that is ready; its ``status``, ``headers`` and ``body`` can be changed."""

    class Handler(BaseHTTPRequestHandler):
        status, headers_sent, body = 200, {"Rota-Collector": "1.2"}, b"{}"
        date = staticmethod(lambda: formatdate(usegmt=True))

        def do_GET(self):
            self.send_response_only(self.status)
            for name, value in {**self.headers_sent, "Date": self.date()}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(self.body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("ROTA_ENDPOINT", f"http://127.0.0.1:{http.server_port}")
        yield Handler
        http.shutdown()


def findings() -> dict[str, doctor.Finding]:
    return {finding.check: finding for finding in doctor.examine()}


def wrong() -> list[str]:
    return [finding.check for finding in doctor.examine() if not finding.ok]


def old(path, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(path, (at, at))


def test_when_all_is_well_it_says_so(endpoint, capsys):
    """A line for each check, exit status 0."""
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(findings())
    assert all(line.startswith("ok ") for line in lines)


def test_one_bad_finding_fails_the_whole(capsys, monkeypatch):
    """Exit status 1, also as JSON, which has the same findings."""
    monkeypatch.setenv("ROTA_ENDPOINT", "http://127.0.0.1:1")
    assert cli.main(["doctor"]) == 1
    assert "BAD  endpoint" in capsys.readouterr().out
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [each["check"] for each in found if not each["ok"]] == ["endpoint"]
    assert "http://127.0.0.1:1 cannot be reached (Connection refused)" in next(e["message"] for e in found if not e["ok"])


def test_a_foreign_server_on_the_port_is_bad(endpoint):
    """Another OTLP receiver takes what scripts send, and their runs are never seen."""
    endpoint.headers_sent = {}
    for endpoint.status in (200, 404):
        assert wrong() == ["endpoint"]
    assert "another OTLP receiver would swallow" in findings()["endpoint"].message


def test_a_collector_in_trouble_is_bad(endpoint):
    """Its own words are passed on."""
    endpoint.status, endpoint.body = 503, b'{"trouble": "telemetry: OSError: disk"}'
    assert wrong() == ["endpoint"]
    assert "telemetry: OSError: disk" in findings()["endpoint"].message


@pytest.mark.parametrize(("offset", "side"), [(3600, "ahead of"), (-3600, "behind")])
def test_clocks_that_disagree_are_bad(endpoint, offset, side):
    """Durations and schedules would be wrong; a second, which is as fine as the header tells, is nothing."""
    endpoint.date = staticmethod(lambda: formatdate(time.time() + offset, usegmt=True))
    assert wrong() == ["clock"]
    assert side in findings()["clock"].message


def test_facts_that_wait_too_long_are_bad(endpoint, home):
    """What a script left behind is shipped within minutes, or nobody ships."""
    left = home / "spool" / "left"
    left.mkdir()
    (left / "1-a.logs.jsonl").write_text("{}")
    assert wrong() == []
    old(left / "1-a.logs.jsonl", 3600)
    assert wrong() == ["left"]
    assert "1 files wait to be shipped, the oldest for 1 h 00 min: start `rota agent`" in findings()["left"].message


def test_lines_that_were_refused_are_bad(endpoint, home):
    """They are data that nobody will see unless somebody looks."""
    (home / "spool" / "bad").mkdir()
    (home / "spool" / "bad" / "1-a.logs.jsonl").write_text("?")
    assert wrong() == ["bad"]
    assert str(home / "spool" / "bad") in findings()["bad"].message


def test_errors_that_were_kept_from_scripts_are_shown(endpoint, home):
    """The last one, and how many; one of last week fails nothing any more."""
    path = home / "errors.jsonl"
    path.write_text('{"at": "x", "where": "a", "error": "E: 1"}\n{"at": "x", "where": "spool", "error": "OSError: full"}\n')
    assert wrong() == ["errors"]
    assert "2 were kept from scripts" in findings()["errors"].message
    assert "OSError: full in spool" in findings()["errors"].message
    path.write_text("half a li")
    assert "half a li" in findings()["errors"].message
    old(path, 7 * 86400)
    assert wrong() == []


def test_an_endpoint_that_was_silent_is_bad(endpoint, home):
    """As long as the SDK leaves it alone; after that it is history."""
    marker = home / "spool" / "silent"
    marker.write_text("127.0.0.1:4318")
    assert wrong() == ["silence"]
    assert "127.0.0.1:4318 took a connection and did not answer" in findings()["silence"].message
    old(marker, 60)
    assert wrong() == []


def test_an_agent_that_is_there_must_answer(endpoint, home, monkeypatch):
    """None is fine, one that answers is fine; a socket behind which nobody is left is not."""
    path = str(home / "agent.sock")
    monkeypatch.setenv("ROTA_AGENT", path)
    assert findings()["agent"].ok
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(path)
        sock.listen()
        assert findings()["agent"].message == f"answers on {path}"
    assert wrong() == ["agent"]
    assert "start `rota agent`" in findings()["agent"].message


def test_a_home_that_cannot_be_written_is_bad(endpoint, monkeypatch, tmp_path):
    """Scripts would keep quiet and nothing would be known; one that is not made yet is fine."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "file" / "home"))
    assert wrong() == ["home"]
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "new" / "home"))
    assert wrong() == []
    assert not (tmp_path / "new").exists()


def test_rota_turned_off_is_bad(endpoint, monkeypatch):
    """Somebody who asks the doctor wants to know."""
    monkeypatch.setenv("ROTA_DISABLED", "1")
    assert wrong() == ["settings"]


def test_settings_are_shown_and_secrets_are_not(endpoint, monkeypatch):
    """The values in force, but for keys and headers."""
    monkeypatch.setenv("ROTA_TOKEN", "s3cret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret")
    message = findings()["settings"].message
    assert f"ROTA_ENDPOINT={os.environ['ROTA_ENDPOINT']}" in message
    assert "ROTA_TOKEN=(set)" in message
    assert "s3cret" not in message
