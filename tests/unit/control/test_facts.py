"""Facts of the host that gates rest on: found out for real, and nothing that the host did not allow."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import duckdb
import pytest

from rota.control import facts
from rota.rules import gates
from rota.rules.policy import validate


def found(home, **terms):
    """The facts for a gate as a valid policy has it, and what it says of them."""
    (gate,) = gates.of(validate({"gates": [terms]}))
    told = facts.find(gate, str(home))
    return told, gates.decide(gate, told, time.time_ns()).answer


@pytest.fixture
def server():
    """Answers with the status that the path names."""

    class Status(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *_):
            pass

    serving = HTTPServer(("127.0.0.1", 0), Status)
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    thread.join()
    serving.server_close()


@pytest.mark.parametrize(
    ("status", "expect", "answer"), [(200, None, "go"), (503, None, "wait"), (503, 503, "go"), (200, 204, "wait")]
)
def test_an_address_is_asked(tmp_path, server, status, expect, answer):
    """Success lets pass, or the very status that is expected."""
    told, said = found(tmp_path, kind="probe", http=f"{server}/{status}", expect=expect)
    assert said == answer
    assert told["said"].endswith(f"answers {status}")


def test_an_address_that_nobody_answers_is_no_fault(tmp_path):
    """It is what the probe was asked for: the run waits."""
    told, said = found(tmp_path, kind="probe", http="http://127.0.0.1:9/", timeout="2s")
    assert said == "wait"
    assert "does not answer" in told["said"]


def test_only_http_is_asked(tmp_path):
    """A policy cannot read files by a clever address."""
    with pytest.raises(facts.Unknown, match="no http address"):
        found(tmp_path, kind="probe", http=f"file://{__file__}")


def test_a_file_must_be_there_and_fresh(tmp_path):
    """Its time of change counts."""
    path = tmp_path / "orders.csv"
    assert found(tmp_path, kind="probe", file=str(path))[1] == "wait"
    path.touch()
    assert found(tmp_path, kind="probe", file=str(path), fresh_within="1h")[1] == "go"
    os.utime(path, (0, time.time() - 7200))
    told, said = found(tmp_path, kind="probe", file=str(path), fresh_within="1h")
    assert said == "wait"
    assert "changed 7200 s ago" in told["said"]


@pytest.fixture(params=["sqlite", "duckdb"])
def database(request, tmp_path):
    """A file with three orders."""
    path = tmp_path / f"orders.{request.param}"
    connection = sqlite3.connect(path) if request.param == "sqlite" else duckdb.connect(path)
    connection.execute("CREATE TABLE orders AS SELECT 1 AS id UNION ALL SELECT 2 UNION ALL SELECT 3")
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize(
    ("query", "expect", "answer"),
    [
        ("SELECT count(*) > 2 FROM orders", None, "go"), ("SELECT count(*) FROM orders WHERE id > 5", None, "wait"),
        ("SELECT count(*) FROM orders", 3, "go"), ("SELECT id FROM orders WHERE id > 5", None, "wait"),
    ],
)  # fmt: skip
def test_the_first_value_of_a_select_decides(tmp_path, database, query, expect, answer):
    """True lets pass, or the very value that is expected; no row does not."""
    assert found(tmp_path, kind="probe", sql=query, database=str(database), expect=expect)[1] == answer


@pytest.mark.parametrize("query", ["DELETE FROM orders", "ATTACH 'made' AS made", "COPY orders TO 'made'", "nonsense"])
def test_a_database_is_only_read(tmp_path, database, query, monkeypatch):
    """What writes is refused, and no file comes of it."""
    monkeypatch.chdir(tmp_path)
    before = database.read_bytes()
    with pytest.raises(facts.Unknown):
        found(tmp_path, kind="probe", sql=query, database=str(database))
    assert database.read_bytes() == before
    assert not (tmp_path / "made").exists()


def test_a_command_must_be_registered_on_the_host(tmp_path):
    """A policy names it; what it is, the host says."""
    with pytest.raises(facts.Unknown, match=r"commands\.json"):
        found(tmp_path, kind="probe", command="ready")
    commands = {"ready": [sys.executable, "-c", "raise SystemExit(3)"]}
    (tmp_path / facts.COMMANDS).write_text(json.dumps(commands))
    assert found(tmp_path, kind="probe", command="ready")[1] == "wait"
    assert found(tmp_path, kind="probe", command="ready", expect=3)[1] == "go"


def test_a_command_that_hangs_is_ended(tmp_path):
    """After its time it says no."""
    (tmp_path / facts.COMMANDS).write_text(json.dumps({"slow": ["/bin/sleep", "60"]}))
    told, said = found(tmp_path, kind="probe", command="slow", timeout=0.2)
    assert (said, told["said"]) == ("wait", "slow took longer than 0.2 s")


def test_the_host_is_looked_at(tmp_path):
    """Free disk, available memory and load, each where it is asked for."""
    told, said = found(tmp_path, kind="host", disk_free="1kB", memory_free="1MB", load_below=1000, path=str(tmp_path))
    assert said == "go"
    assert min(told["disk_free_bytes"], told["memory_free_bytes"]) > 1_000_000
    assert found(tmp_path, kind="host", disk_free="900TB", path=str(tmp_path))[1] == "wait"


@pytest.mark.parametrize(
    ("body", "answer"), [("return True", "go"), ("return 'closed today'", "wait"), ("return 0", "wait"), ("1 / 0", None)]
)
def test_an_entry_point_decides(tmp_path, monkeypatch, body, answer):
    """One that a package on the host registered under rota.gates; what it raises is no answer."""
    (tmp_path / "checks.py").write_text(f"def ask():\n    {body}\n")
    metadata = tmp_path / "checks-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: checks\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[rota.gates]\nmay-load = checks:ask\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "checks", raising=False)
    if answer is None:
        with pytest.raises(facts.Unknown, match="ZeroDivisionError"):
            found(tmp_path, kind="python", call="may-load")
    else:
        assert found(tmp_path, kind="python", call="may-load")[1] == answer
    with pytest.raises(facts.Unknown, match="entry point 'other'"):
        found(tmp_path, kind="python", call="other")
