"""Forwarding: a script delivers its own facts to a plain address, and nothing of it remains on disk."""

from __future__ import annotations

import json
import textwrap
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import pytest
from scripts import Outcome, run_script

PATIENT = "import rota._http\nrota._http.EXIT_SECONDS = 20\n"  # a busy machine does not answer within the moment that users have
SCRIPT = "import rota\nrota.watch()\nwith rota.task('t'):\n    rota.record(rows=3)\n"


class Receiver:
    """A real HTTP server that keeps what it is sent, and can be told how to behave."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.hang_up_after = 0  # requests on one connection before the server closes it without a word; 0: never
        self.arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            served = 0

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.arrived:
                    receiver.requests.append((self.path, dict(self.headers), json.loads(body)))
                    receiver.arrived.notify_all()
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")
                self.served += 1
                self.close_connection = self.served == receiver.hang_up_after

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return "http://127.0.0.1:%d" % self.server.server_address[1]

    def states(self) -> list[str]:
        """Every run state received, in the order of arrival."""
        records = [r for path, _, body in self.requests if path.endswith("/v1/logs") for group in body["resourceLogs"]
                   for scope in group["scopeLogs"] for r in scope["logRecords"]]  # fmt: skip
        pairs = [{a["key"]: a["value"] for a in r["attributes"]} for r in records if r["eventName"] == "rota.run.state"]
        return [p["rota.run.state"]["stringValue"] for p in pairs]

    def spans(self) -> list[str]:
        """The name of every span received."""
        return [span["name"] for path, _, body in self.requests if path.endswith("/v1/traces") for group in body["resourceSpans"]
                for scope in group["scopeSpans"] for span in scope["spans"]]  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector's front door, and no more."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def deliver(source: str, home: Path, receiver: Receiver, python: str, **environment: str) -> Outcome:
    """Run a script that forwards to the receiver; rota must have swallowed no error."""
    patient = PATIENT + textwrap.dedent(source)
    outcome = run_script(patient, home, python, environment={"ROTA_ENDPOINT": receiver.address, **environment})
    assert outcome.errors == ""
    assert outcome.stderr == b""
    return outcome


def files(home: Path) -> list[Path]:
    return list((home / "spool").rglob("*.jsonl"))


def test_everything_is_delivered_by_the_time_the_script_has_ended(home: Path, receiver: Receiver, python: str) -> None:
    """Start, end and spans arrive, each once, and the spool is empty again."""
    deliver(SCRIPT, home, receiver, python)
    assert receiver.states() == ["running", "succeeded"]
    assert sorted(receiver.spans()) == ["job", "t"]
    assert files(home) == []


def test_the_start_leaves_while_the_script_runs(home: Path, receiver: Receiver, python: str) -> None:
    """The start of a run does not wait for its end."""
    source = "import rota, sys\nrota.watch()\nsys.stdin.read()"
    with receiver.arrived:
        done = threading.Event()
        threading.Thread(target=lambda: (deliver(source, home, receiver, python), done.set()), daemon=True).start()
        assert receiver.arrived.wait_for(lambda: receiver.requests, timeout=20)
    assert done.wait(20)


def test_runs_inside_a_process_are_delivered_when_they_end(home: Path, receiver: Receiver, python: str) -> None:
    """A long-lived process does not keep the ends of its runs until its own end."""
    source = """
        import rota, time
        for i in range(3):
            with rota.run("poll"):
                pass
            time.sleep(0.1)
        import os
        os._exit(0)
    """
    deliver(source, home, receiver, python)
    assert receiver.states().count("succeeded") >= 2


def test_headers_and_key_are_sent(home: Path, receiver: Receiver, python: str) -> None:
    """OTEL_EXPORTER_OTLP_HEADERS and the rota key go with every request."""
    deliver(SCRIPT, home, receiver, python, OTEL_EXPORTER_OTLP_HEADERS="x-tenant=a%20b", ROTA_TOKEN="secret")
    for _, headers, _ in receiver.requests:
        assert (headers["x-tenant"], headers["Authorization"]) == ("a b", "Bearer secret")


def test_a_path_in_the_endpoint_is_kept(home: Path, receiver: Receiver, python: str) -> None:
    """An endpoint below a path is used as it is."""
    deliver(SCRIPT, home, receiver, python, ROTA_ENDPOINT=receiver.address + "/rota/")
    assert {path for path, _, _ in receiver.requests} == {"/rota/v1/logs", "/rota/v1/traces"}


def test_a_connection_closed_meanwhile_is_made_anew(home: Path, receiver: Receiver, python: str) -> None:
    """A server that closed the idle connection costs a second connection, and no fact."""
    receiver.hang_up_after = 1
    deliver("import rota, time\nrota.watch()\ntime.sleep(0.2)\n", home, receiver, python)
    assert set(receiver.states()) == {"running", "succeeded"}
    assert files(home) == []


def test_many_spans_leave_in_several_requests(home: Path, receiver: Receiver, python: str) -> None:
    """More spans than one request holds are sent in several; what the moment at exit does not suffice for stays in `left/`."""
    source = "import rota\nrota.watch()\nfor i in range(2000):\n    with rota.task('t%d' % i):\n        pass\n"
    outcome = deliver(source, home, receiver, python)
    kept = [span["name"] for span in outcome.spans]
    assert sorted({*receiver.spans(), *kept}) == sorted(["job"] + ["t%d" % i for i in range(2000)])
    sizes = [int(headers["Content-Length"]) for _, headers, _ in receiver.requests]
    assert max(sizes) < 2 * 256 * 1024
    assert len(sizes) > 3 or kept
    assert {path.parent.name for path in files(home)} <= {"left"}


def test_facts_that_no_disk_takes_are_delivered_from_memory(tmp_path: Path, receiver: Receiver, python: str) -> None:
    """With a home that cannot be written and a collector that can be reached, the run is known all the same."""
    (tmp_path / "file").write_text("")
    (tmp_path / "job.py").write_text(PATIENT + SCRIPT)
    run_script("", tmp_path / "file" / "home", python, path=tmp_path / "job.py", environment={"ROTA_ENDPOINT": receiver.address})
    assert receiver.states() == ["running", "succeeded"]


def test_a_fork_does_not_use_the_parents_connection(home: Path, receiver: Receiver, python: str) -> None:
    """Parent and child each deliver what is theirs."""
    source = """
        import os
        import rota
        rota.watch()
        if os.fork() == 0:
            with rota.task("child"):
                pass
            raise SystemExit
        os.wait()
        with rota.task("parent"):
            pass
    """
    deliver(source, home, receiver, python)
    assert receiver.states() == ["running", "succeeded"]
    assert sorted(receiver.spans()) == ["child", "job", "parent"]
