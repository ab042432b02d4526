"""What happens when something is wrong: one test for each row of docs/bad-input.md, which states the text and the status."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from collectors import CollectorProcess, until
from docs_blocks import DOCS, looks_like
from otlp_receiver import Reply, receiver
from servers import client_of, environment_of, free_ports, rota

JSON, PROTOBUF = "application/json", "application/x-protobuf"
SCRIPT = "import sys\n\nimport rota\nrota.watch('job')\nwith rota.task('load'):\n    print('work done')\nsys.exit(3)\n"


class Row(NamedTuple):
    """A row of the table; ``text`` and ``test`` without their backticks."""

    case: str
    said_by: str
    text: str
    status: int
    kept: str
    test: str

    def fits(self, text: str, status: int) -> bool:
        """Whether this is what the page says. Runs of blanks count as one: columns are aligned."""
        return status == self.status and looks_like(one_blank(text), f"...{one_blank(self.text)}...")


def one_blank(text: str) -> str:
    return re.sub(r"[ \n]+", " ", text)


def table() -> list[Row]:
    """Every row of the page."""
    lines = [line for line in (DOCS / "bad-input.md").read_text().splitlines() if line.startswith("| ") and "`test_" in line]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [
        Row(case, said_by, text.strip("`"), int(status), kept, test.strip("` "))
        for case, said_by, text, status, kept, test in cells
    ]


ROWS = {row.test: row for row in table()}


@pytest.fixture
def row(request) -> Row:
    """The row that the test is for."""
    return ROWS[request.node.name]


@pytest.fixture
def home(tmp_path) -> Path:
    """A home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture(scope="module")
def careful(tmp_path_factory) -> Iterator[CollectorProcess]:
    """A collector that refuses what is larger than 100 kB, and keeps nothing of what these tests send."""
    folder = tmp_path_factory.mktemp("careful")
    found = CollectorProcess(folder / "home", folder / "stderr", ROTA_MAX_BODY="100000").start()
    yield found
    found.close()


def test_the_page_and_the_tests_agree(request):
    """Every row of the page has its test, every test its row, and no row is there twice."""
    here = [name for name in dir(sys.modules[__name__]) if name.startswith("test_") and name != request.node.name]
    assert sorted(row.test for row in table()) == sorted(here)


def watched_script(environment: dict[str, str]) -> None:
    """Run a script with rota in it; nothing of rota may show."""
    script = Path(environment["ROTA_HOME"]).parent / "job.py"
    with contextlib.suppress(OSError):
        script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"work done\n", b"", 3)


def doctor(environment: dict[str, str]) -> tuple[str, int]:
    done = rota("doctor", environment=environment)
    return done.stdout, done.returncode


def test_a_script_without_a_collector(row, home):
    """Nobody at the endpoint: the script is as ever, its run waits in the spool and arrives when a collector is there."""
    environment = with_ports(clean_environment(home)) | {"ROTA_DETACH": "off"}
    watched_script(environment)
    assert row.fits(*doctor(environment))
    with collector(home, **{name: value for name, value in environment.items() if name.startswith("ROTA_")}) as late:
        assert rota("agent", "--once", environment=environment).returncode == 0
        (run,) = poll(late.runs, "the run did not arrive", late.log)
        assert (run["state"], run["exit_code"]) == ("failed", 3)


def test_a_script_and_a_foreign_server(row, home):
    """Another OTLP server takes what is sent; only the doctor can tell that it is none of ours."""
    with receiver() as foreign:
        foreign.answer = lambda path, body: Reply(is_rota=False)
        environment = clean_environment(home) | {"ROTA_ENDPOINT": foreign.url, "ROTA_DETACH": "off"}
        watched_script(environment)
        assert foreign.said() == ["running", "failed"]
        assert row.fits(*doctor(environment))


def test_a_script_and_an_unwritable_home(row, tmp_path):
    """A home that cannot be made: the script is as ever, nothing is kept."""
    (tmp_path / "file").touch()
    (tmp_path / "job.py").write_text(SCRIPT)
    environment = with_ports(clean_environment(tmp_path / "file" / "home"))
    done = subprocess.run([sys.executable, tmp_path / "job.py"], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"work done\n", b"", 3)
    assert row.fits(*doctor(environment))


def test_a_script_and_a_full_home(row, full_disk):
    """No space for a spool: the script is as ever."""
    environment = with_ports(clean_environment(full_disk / "home"))
    script = full_disk.parent / "job.py"
    script.write_text(SCRIPT)
    (full_disk / "home").mkdir()
    fill(full_disk)
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"work done\n", b"", 3)
    assert row.fits(*doctor(environment))


def test_a_corrupt_spool_line(row, home, running):
    """A line that is no JSON is set aside; the lines around it arrive."""
    environment = running.environment | {"ROTA_AGENT": "off"}
    watched_script(environment | {"ROTA_ENDPOINT": f"http://127.0.0.1:{free_ports(1)[0]}", "ROTA_DETACH": "off"})
    (spooled,) = (home / "spool" / "left").glob("*.logs.jsonl")
    first, *others = spooled.read_bytes().splitlines(keepends=True)
    spooled.write_bytes(b"".join([first, b'{"resourceLogs": [{ torn\n', *others]))
    assert rota("agent", "--once", environment=environment).returncode == 0
    (run,) = poll(running.runs, "the run did not arrive", running.log)
    assert run["state"] == "failed"
    assert [path.read_bytes() for path in (home / "spool" / "bad").iterdir()] == [b'{"resourceLogs": [{ torn\n']
    assert row.fits(*doctor(environment))


def test_a_clock_set_back(row, running):
    """A run that ended, by its clock, before it started has both times and no duration."""
    run_id = "01940000-0000-7000-8000-000000000001"
    for state, at_ns in (("running", 2_000_000_000_000_000_000), ("succeeded", 1_999_999_990_000_000_000)):
        assert running.ask("/v1/logs", run_state(run_id, state, at_ns), content_type=JSON).status == 200
    poll(lambda: [run for run in running.runs() if run["state"] == "succeeded"], "the run did not arrive", running.log)
    shown = rota("show", run_id, "--json", environment=running.environment)
    assert row.fits(shown.stdout, shown.returncode)
    run = json.loads(shown.stdout)
    assert (run["started_at"], run["ended_at"]) == ("2033-05-18T03:33:20.000000Z", "2033-05-18T03:33:10.000000Z")


def run_state(run_id: str, state: str, at_ns: int) -> bytes:
    pairs = {
        "cicd.pipeline.name": "job",
        "cicd.pipeline.run.id": run_id,
        "rota.run.state": state,
        "rota.event.id": f"{run_id}-{state}",
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()]
    record = {"timeUnixNano": str(at_ns), "eventName": "rota.run.state", "attributes": attributes}
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()


def start(environment: dict[str, str]) -> tuple[str, int]:
    """A collector that is expected to give up at once: what it said on stderr, and its exit status."""
    done = rota("collector", environment=environment)
    assert done.stdout == ""
    return done.stderr, done.returncode


def test_a_port_in_use(row, home, running):
    """A port that somebody holds is named, with who holds it and the setting to change."""
    taken = {"ROTA_HTTP": running.environment["ROTA_HTTP"], "ROTA_GRPC": "off"}
    said = start(clean_environment(home.with_name("other")) | taken)
    assert row.fits(*said)
    assert str(running.process.pid) in said[0]


def test_a_collector_and_an_unwritable_home(row, tmp_path):
    """A home that cannot be used is named, with the setting to change."""
    (tmp_path / "file").touch()
    assert row.fits(*start(with_ports(clean_environment(tmp_path / "file" / "home"))))


def test_a_second_collector(row, home, running):
    """A home has one collector; the second one leaves it alone and says who is there."""
    said = start(with_ports(clean_environment(home)))
    assert row.fits(*said)
    assert str(running.process.pid) in said[0]
    assert running.ask("/readyz").status == 200


def test_a_torn_journal_tail(row, home):
    """A record that a crash cut short was never acknowledged: it is set aside, everything before it is there."""
    run_id = "01940000-0000-7000-8000-000000000001"
    with collector(home) as first:
        assert first.ask("/v1/logs", run_state(run_id, "running", time.time_ns()), content_type=JSON).status == 200
    segment = max((home / "journal").glob("*.journal"))
    with segment.open("ab") as file:
        file.write(segment.read_bytes()[:60])
    with collector(home) as second:
        (run,) = poll(second.runs, "the run is gone", second.log)
        assert run["id"] == run_id
        said = second.log.read_text()
    assert row.fits(said, second.process.returncode)
    assert list((home / "journal" / "quarantine").iterdir())


def refusal(answer: Answer) -> tuple[str, int]:
    """The message of a JSON `google.rpc.Status` and the HTTP status."""
    assert answer.headers["content-type"] == JSON
    return answer.json()["message"], answer.status


def test_malformed_protobuf(row, running):
    """Bytes that are no protobuf are refused as such, in protobuf."""
    from google.rpc.status_pb2 import Status

    answer = running.ask("/v1/traces", b"\xff\xff\xff not protobuf", content_type=PROTOBUF)
    assert answer.headers["content-type"] == PROTOBUF
    assert row.fits(Status.FromString(answer.body).message, answer.status)


def test_malformed_json(row, running):
    """Text that is no JSON is refused as such, in JSON."""
    assert row.fits(*refusal(running.ask("/v1/logs", b'{"resourceLogs": [', content_type=JSON)))


def test_a_wrong_content_type(row, running):
    """A content type that is not OTLP's is refused with the two that are."""
    answer = running.ask("/v1/logs", b"hello", content_type="text/plain")
    assert row.fits(answer.body.decode(), answer.status)


def test_an_oversized_body(row, running):
    """A body larger than ROTA_MAX_BODY is refused with the limit and the setting."""
    body = json.dumps({"resourceLogs": [], "padding": "x" * 200_000}).encode()
    assert row.fits(*refusal(running.ask("/v1/logs", body, content_type=JSON)))


def test_a_gzip_bomb(row, running):
    """A small body that unpacks to a huge one is refused once it passes the limit."""
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < 100_000
    assert row.fits(*refusal(running.ask("/v1/logs", bomb, content_type=JSON, content_encoding="gzip")))


def test_a_full_collector(row, full_disk):
    """On a full disk the collector asks to come back later; given space, it goes on, and what it acknowledged is there."""
    ballast = full_disk / "ballast"
    ballast.write_bytes(b"x" * 30_000_000)
    with collector(full_disk / "home") as server:
        acknowledged = 0
        while (answer := server.ask("/v1/logs", large_run_state(acknowledged), content_type=JSON)).status == 200:
            acknowledged += 1
        assert row.fits(*refusal(answer))
        assert int(answer.headers["retry-after"]) > 0
        ballast.unlink()
        again = server.ask("/v1/logs", large_run_state(acknowledged), content_type=JSON)
        assert again.status == 200
        poll(lambda: len(server.runs()) == acknowledged + 1, "some acknowledged runs are missing", server.log)


def large_run_state(number: int) -> bytes:
    """A run's start in half a megabyte."""
    record = run_state(f"01940000-0000-7000-8000-{number:012}", "running", time.time_ns())
    return record[:-1] + b', "padding": "%s"}' % (b"x" * 500_000)


@pytest.fixture
def full_disk(tmp_path) -> Iterator[Path]:
    """A file system of its own that is small enough to fill."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs a small file system of its own: mount -t tmpfs, as root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder: Path) -> None:
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
