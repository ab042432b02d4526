"""What happens when something is wrong: one test for each row of docs/bad-input.md, which states the text and the status."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import otlp
import pytest
from collectors import CollectorProcess, until
from docs_blocks import DOCS, looks_like
from google.rpc.status_pb2 import Status
from otlp_receiver import Reply, receiver
from servers import client_of, environment_of, rota

JSON, PROTOBUF = "application/json", "application/x-protobuf"
SCRIPT = "import sys\n\nimport rota\nrota.watch('job')\nwith rota.task('load'):\n    print('work done')\nsys.exit(3)\n"
TORN_LINE = b'{"resourceLogs": [{ torn\n'


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
    """A collector that refuses what is larger than 100 kB."""
    folder = tmp_path_factory.mktemp("careful")
    found = CollectorProcess(folder / "home", folder / "stderr", ROTA_MAX_BODY="100000").start()
    yield found
    found.close()


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


def test_the_page_and_the_tests_agree(request):
    """Every row of the page has its test, every test its row, and no row is there twice."""
    here = [name for name in dir(sys.modules[__name__]) if name.startswith("test_") and name != request.node.name]
    assert sorted(row.test for row in table()) == sorted(here)


# On a job's host.


def watched_script(environment: dict[str, str], folder: Path) -> None:
    """Run a script with rota in it; nothing of rota may show."""
    (folder / "job.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, folder / "job.py"], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"work done\n", b"", 3)


def doctor(environment: dict[str, str]) -> tuple[str, int]:
    """What the doctor says, and its exit status."""
    done = rota("doctor", environment=environment)
    return done.stdout, done.returncode


def test_a_script_without_a_collector(row, home, new_collector):
    """Nobody at the endpoint: the script is as ever, its run waits in the spool and arrives when a collector is there."""
    environment = environment_of(home, ROTA_DETACH="off")
    watched_script(environment, home.parent)
    assert row.fits(*doctor(environment))
    late = new_collector(home, ROTA_HTTP=environment["ROTA_HTTP"]).start()
    assert rota("agent", "--once", environment=environment).returncode == 0
    (run,) = until(late.all_runs, "the run")
    assert (run["state"], run["exit_code"]) == ("failed", 3)


def test_a_script_and_a_foreign_server(row, home):
    """Another OTLP server takes what is sent; only the doctor can tell that it is none of ours."""
    with receiver() as foreign:
        foreign.answer = lambda path, body: Reply(is_rota=False)
        environment = environment_of(home, ROTA_ENDPOINT=foreign.url, ROTA_DETACH="off")
        watched_script(environment, home.parent)
        assert foreign.said() == ["running", "failed"]
        assert row.fits(*doctor(environment))


def test_a_script_and_an_unwritable_home(row, tmp_path):
    """A home that cannot be made: the script is as ever, nothing is kept."""
    (tmp_path / "file").touch()
    environment = environment_of(tmp_path / "file" / "home")
    watched_script(environment, tmp_path)
    assert row.fits(*doctor(environment))


def test_a_script_and_a_full_home(row, full_disk):
    """No space for a spool: the script is as ever."""
    environment = environment_of(full_disk / "home")
    (full_disk / "home").mkdir()
    fill(full_disk)
    watched_script(environment, full_disk.parent)
    assert row.fits(*doctor(environment))


def fill(folder: Path) -> None:
    """Write until nothing more fits."""
    with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def test_a_corrupt_spool_line(row, home, new_collector):
    """A line that is no JSON is set aside; the lines around it arrive."""
    watched_script(environment_of(home, ROTA_DETACH="off"), home.parent)
    (spooled,) = (home / "spool" / "left").glob("*.logs.jsonl")
    first, *others = spooled.read_bytes().splitlines(keepends=True)
    spooled.write_bytes(b"".join([first, TORN_LINE, *others]))

    collector = new_collector(home).start()
    assert rota("agent", "--once", environment=client_of(collector)).returncode == 0
    (run,) = until(lambda: [run for run in collector.all_runs() if run["state"] == "failed"], "the run")
    assert run["exit_code"] == 3
    assert [path.read_bytes() for path in (home / "spool" / "bad").iterdir()] == [TORN_LINE]
    assert row.fits(*doctor(client_of(collector)))


def test_a_clock_set_back(row, collector):
    """A run that ended, by its clock, before it started has both times and no duration."""
    collector.send(otlp.state(1, "running", otlp.T0), otlp.state(1, "succeeded", otlp.T0 - 10 * otlp.SECOND))
    until(lambda: [run for run in collector.all_runs() if run["state"] == "succeeded"], "the run")
    shown = rota("show", otlp.run_id(1), "--json", environment=client_of(collector))
    assert row.fits(shown.stdout, shown.returncode)
    run = json.loads(shown.stdout)
    assert (run["started_at"], run["ended_at"]) == ("2026-09-21T14:13:20.000000Z", "2026-09-21T14:13:10.000000Z")


# Starting a collector.


def start(environment: dict[str, str]) -> tuple[str, int]:
    """A collector that is expected to give up at once: what it said on stderr, and its exit status."""
    done = rota("collector", environment=environment)
    assert done.stdout == ""
    return done.stderr, done.returncode


def test_a_port_in_use(row, home, shared_collector):
    """A port that somebody holds is named, with who holds it and the setting to change."""
    text, status = start(environment_of(home, ROTA_HTTP=shared_collector.addresses["http"]))
    assert row.fits(text, status)
    assert f"pid {shared_collector.process.pid} " in text


def test_a_collector_and_an_unwritable_home(row, tmp_path):
    """A home that cannot be used is named, with the setting to change."""
    (tmp_path / "file").touch()
    assert row.fits(*start(environment_of(tmp_path / "file" / "home")))


def test_a_second_collector(row, shared_collector):
    """A home has one collector; the second one leaves it alone and says who is there."""
    text, status = start(environment_of(shared_collector.home))
    assert row.fits(text, status)
    assert f"pid {shared_collector.process.pid})" in text
    assert shared_collector.get("/readyz").status_code == 200


def test_a_torn_journal_tail(row, new_collector):
    """A record that a crash cut short was never acknowledged: it is set aside, everything before it is there."""
    collector = new_collector().start()
    collector.send(*otlp.whole_run(1))
    collector.kill()
    segment = max((collector.home / "journal").glob("*.journal"))
    with segment.open("ab") as file:
        file.write(segment.read_bytes()[:60])

    collector.start()
    (run,) = until(collector.all_runs, "the run")
    assert run["state"] == "succeeded"
    assert row.fits(collector.stderr, collector.stop())
    (torn,) = (collector.home / "journal" / "quarantine").iterdir()
    assert torn.stat().st_size == 60


# Sending to a collector.


def post(collector: CollectorProcess, body: bytes, content_type: str = JSON, **headers: str) -> httpx.Response:
    """The answer to a request to /v1/logs."""
    named = {"content-type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{collector.url}/v1/logs", content=body, headers=named, trust_env=False)


def refusal(answer: httpx.Response) -> tuple[str, int]:
    """The message of a `google.rpc.Status` in JSON, and the status of HTTP."""
    assert answer.headers["content-type"] == JSON
    return answer.json()["message"], answer.status_code


def nothing_is_kept(collector: CollectorProcess) -> bool:
    """Whether no request ever reached the journal."""
    return not list((collector.home / "journal").glob("*.journal"))


RUN = json.dumps(otlp.logs(otlp.whole_run(1))).encode()
PADDED_RUN = RUN[:-1] + b', "padding": "%s"}'


def test_malformed_protobuf(row, careful):
    """Bytes that are no protobuf are refused as such, in protobuf."""
    answer = post(careful, b"\xff\xff\xff not protobuf", PROTOBUF)
    assert answer.headers["content-type"] == PROTOBUF
    assert row.fits(Status.FromString(answer.content).message, answer.status_code)
    assert nothing_is_kept(careful)


def test_malformed_json(row, careful):
    """Text that is no JSON is refused as such, in JSON."""
    assert row.fits(*refusal(post(careful, RUN[:-1])))
    assert nothing_is_kept(careful)


def test_a_wrong_content_type(row, careful):
    """A content type that is not OTLP's is refused with the two that are."""
    assert row.fits(*refusal(post(careful, RUN, "text/plain")))
    assert nothing_is_kept(careful)


def test_an_oversized_body(row, careful):
    """A body larger than ROTA_MAX_BODY is refused with the limit and the setting."""
    assert row.fits(*refusal(post(careful, PADDED_RUN % (b"x" * 200_000))))
    assert nothing_is_kept(careful)


def test_a_gzip_bomb(row, careful):
    """A small body that unpacks to a huge one is refused once it passes the limit."""
    bomb = gzip.compress(PADDED_RUN % (b"x" * 50_000_000))
    assert len(bomb) < 100_000
    assert row.fits(*refusal(post(careful, bomb, content_encoding="gzip")))
    assert nothing_is_kept(careful)


def test_a_full_collector(row, full_disk, new_collector):
    """On a full disk the collector asks to come back later; given space, it goes on, and what it acknowledged is there."""
    ballast = full_disk / "ballast"
    ballast.write_bytes(b"x" * 30_000_000)
    collector, acknowledged = new_collector(full_disk / "home", ROTA_DISK_RESERVE="0").start(), 0
    while (answer := post(collector, large_run(acknowledged))).status_code == 200:
        acknowledged += 1
    assert row.fits(*refusal(answer))
    assert int(answer.headers["retry-after"]) > 0

    ballast.unlink()
    assert post(collector, large_run(acknowledged)).status_code == 200
    until(lambda: len(collector.all_runs()) == acknowledged + 1, "every acknowledged run")
    assert collector.stop() == 0


def large_run(number: int) -> bytes:
    """A run in half a megabyte."""
    return json.dumps(otlp.logs(otlp.whole_run(number)) | {"padding": "x" * 500_000}).encode()
