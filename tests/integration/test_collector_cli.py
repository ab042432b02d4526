"""The commands that read, against a real collector; and the ones that start things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import otlp
import pytest
from collectors import clean_environment, until

ROTA = [sys.executable, "-m", "rota"]


@pytest.fixture(scope="module")
def told(shared_collector):
    """A collector that has seen a few runs."""
    collector = shared_collector
    collector.send(*otlp.whole_run(1, tags=["nightly"]))
    stack = "Traceback:\n  File 'x'\nValueError: \x1b[31mred"
    collector.send(
        *otlp.whole_run(2, "failed", exit_code=1, error_type="ValueError", error_message="\x1b[31mred", error_stack=stack)
    )
    collector.send(*otlp.whole_run(3, workflow="team/report"))
    collector.send(otlp.log(1, "hello there"), otlp.log(1, "careful", "WARN"))
    collector.send_spans(otlp.task(1, 1, "extract"), otlp.task(1, 2, "parse", parent=1))
    return collector.applied()


@pytest.fixture
def rota(told):
    """Run one command; returns what it printed. It must succeed and say nothing on stderr."""

    def run(*words: str, stdin: str = "") -> str:
        environment = clean_environment(ROTA_ENDPOINT=told.url, ROTA_HOME=str(told.home), TZ="UTC")
        ended = subprocess.run([*ROTA, *words], env=environment, input=stdin, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout

    return run


def test_ls(rota, told):
    """A line for each workflow; --json prints the API's items."""
    assert json.loads(rota("ls", "--json")) == told.item("/workflows")["items"]
    heading, etl, report = rota("ls").splitlines()
    assert heading.split()[:3] == ["WORKFLOW", "STATE", "LAST"]
    assert etl.startswith("etl.nightly  failed")
    assert etl.endswith("✓✗")
    assert report.startswith("team/report  succeeded")


def test_runs(rota, told):
    """Filters as the API has them; a run's line says what went wrong, harmlessly."""
    assert json.loads(rota("runs", "--json")) == told.item("/runs")["items"]
    assert [run["id"] for run in json.loads(rota("runs", "etl.nightly", "--json"))] == [otlp.run_id(2), otlp.run_id(1)]
    assert [run["id"] for run in json.loads(rota("runs", "--state", "failed", "--json"))] == [otlp.run_id(2)]
    assert [run["id"] for run in json.loads(rota("runs", "--tag", "nightly", "--json"))] == [otlp.run_id(1)]
    assert [run["id"] for run in json.loads(rota("runs", "--since", "2026-09-21T14:13:23", "--json"))] == [otlp.run_id(3)]
    assert len(json.loads(rota("runs", "--limit", "2", "--json"))) == 2
    failed = rota("runs", "--state", "failed").splitlines()[1]
    assert failed.split()[:3] == [otlp.run_id(2)[:18], "etl.nightly", "failed"]
    assert failed.endswith("ValueError: \\x1b[31mred")


def test_nothing_to_list_says_so(rota):
    """In words for people, as an empty list for programs."""
    assert rota("runs", "none") == "no such run\n"
    assert json.loads(rota("runs", "none", "--json")) == []


@pytest.mark.parametrize("word", [otlp.run_id(2), otlp.run_id(2)[:18], "etl.nightly"])
def test_show_finds_a_run_by_id_beginning_or_workflow(rota, told, word):
    """A workflow's name means its last run."""
    assert json.loads(rota("show", word, "--json")) == told.item(f"/runs/{otlp.run_id(2)}")


def test_show_last(rota):
    """The run that started last, of any workflow; and a name with a slash in it."""
    assert json.loads(rota("show", "last", "--json"))["id"] == otlp.run_id(3)
    assert json.loads(rota("show", "team/report", "--json"))["id"] == otlp.run_id(3)


def test_show_prints_the_error_with_its_stack(rota):
    """Line by line, and nothing in it reaches the terminal as a command."""
    out = rota("show", otlp.run_id(2))
    assert "state      failed" in out
    assert "exit code  1" in out
    assert "\n  File 'x'\nValueError: \\x1b[31mred" in out
    assert "\x1b" not in out


def test_show_prints_tasks_as_a_tree(rota):
    """A task stands below the one that called it."""
    lines = rota("show", otlp.run_id(1)).splitlines()
    tasks = lines[next(i for i, line in enumerate(lines) if line.startswith("TASK")) + 1 :]
    assert [line.split("succeeded")[0].rstrip() for line in tasks] == ["extract", "  parse"]


def test_logs(rota, told):
    """What the script logged and what rota noted, in the order in which it happened."""
    lines = rota("logs", otlp.run_id(1)).splitlines()
    assert [line.split(None, 1)[1] for line in lines if "rota." not in line] == ["INFO  hello there", "WARN  careful"]
    assert any(line.endswith("rota.run.state succeeded") for line in lines)
    assert json.loads(rota("logs", otlp.run_id(1), "--json")) == told.item(f"/runs/{otlp.run_id(1)}/logs")["items"]


def test_sql(rota):
    """A table for people, objects for programs, `-` reads the statement from standard input."""
    query = "SELECT workflow, count(*) AS runs FROM run_events GROUP BY workflow ORDER BY workflow"
    assert json.loads(rota("sql", query, "--json")) == [
        {"workflow": "etl.nightly", "runs": 4},
        {"workflow": "team/report", "runs": 2},
    ]
    assert rota("sql", "-", stdin=query).splitlines()[1].split() == ["etl.nightly", "4"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "nonsense"], "no run and no workflow is called 'nonsense'"),
        (["logs", "nonsense"], "no run and no workflow is called 'nonsense'"),
        (["show", otlp.run_id(2)[:9]], "several runs begin with"),
        (["sql", "DROP TABLE spans"], "SELECT"),
        (["runs", "--state", "sleeping"], "state='sleeping' is none. states: scheduled"),
        (["runs", "--since", "soon"], "'soon' is no time"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_answered_is_one_sentence(told, words, said):
    """On stderr, with exit status 1."""
    ended = subprocess.run(
        [*ROTA, *words], env=clean_environment(ROTA_ENDPOINT=told.url), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("rota: ")
    assert ended.stderr.count("\n") == 1
    assert said in ended.stderr


def test_a_reader_that_leaves_early_is_no_error(told):
    """`rota runs | head -0`: exit status 0, no traceback."""
    command = f"{sys.executable} -m rota sql 'SELECT * FROM range(10000)'"
    script = f"{command} | head -n 1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(
        ["bash", "-c", script], env=clean_environment(ROTA_ENDPOINT=told.url), capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_doctor_is_content_with_a_collector_that_works(rota):
    """Endpoint, clock, home and spool are well."""
    found = {each["check"]: each for each in json.loads(rota("doctor", "--json"))}
    assert "is rota" in found["endpoint"]["message"]
    assert found["clock"]["ok"]


def test_rota_collector_is_the_collector_itself(new_collector, monkeypatch):
    """The same process: signals and exit status are the collector's."""
    monkeypatch.setattr("collectors.COMMAND", [*ROTA, "collector"])
    collector = new_collector().start()
    assert collector.addresses["pid"] == collector.process.pid
    assert collector.stop() == 0


@pytest.fixture
def up(tmp_path):
    """`rota up` on free ports, with everything it said in ``up.log``; ended by a signal at the latest after the test."""
    environment = clean_environment(
        ROTA_HOME=str(tmp_path / "home"),
        ROTA_HTTP="127.0.0.1:0",
        ROTA_GRPC="off",
        ROTA_DASHBOARD="127.0.0.1:0",
        ROTA_AGENT=str(tmp_path / "agent.sock"),
    )
    log = tmp_path / "up.log"
    with log.open("wb") as file:
        process = subprocess.Popen([*ROTA, "up"], env=environment, stdout=file, stderr=file)
    until(lambda: "rota is up" in log.read_text() or process.poll() is not None, "rota up")
    assert process.poll() is None, log.read_text()
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait(30)


def children(process) -> dict[str, int]:
    """The pids of the parts, by what they run."""
    pids = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in pids}
    words = {"collector": "rota_collector", "agent": "rota agent", "dashboard": "streamlit"}
    return {part: pid for part, word in words.items() for pid, line in lines.items() if word in line or f"rota_{part}" in line}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_runs_three_parts_and_stops_them_all(up, tmp_path, number):
    """Collector, agent and dashboard; after TERM or Ctrl-C none is left, and the exit status is 0."""
    parts = until(lambda: len(children(up)) == 3 and children(up), "three parts")
    address = json.loads((tmp_path / "home" / "collector.json").read_text())["http"]
    assert httpx.get(f"http://{address}/readyz", trust_env=False).status_code == 200
    until((tmp_path / "agent.sock").exists, "the agent")
    up.send_signal(number)
    assert up.wait(30) == 0
    assert [part for part, pid in parts.items() if os.path.exists(f"/proc/{pid}")] == []


@pytest.mark.parametrize("part", ["collector", "agent", "dashboard"])
def test_when_a_part_dies_up_says_which_and_stops_the_rest(up, tmp_path, part):
    """Exit status 1, so that a supervisor starts everything again."""
    parts = until(lambda: len(children(up)) == 3 and children(up), "three parts")
    os.kill(parts[part], signal.SIGKILL)
    assert up.wait(30) == 1
    assert f"the {part} ended (SIGKILL); stopping the rest" in (tmp_path / "up.log").read_text()
    assert [name for name, pid in parts.items() if os.path.exists(f"/proc/{pid}")] == []


def test_up_beside_a_running_collector_says_so(collector):
    """The collector's own sentence, then ours; exit status 1."""
    environment = clean_environment(ROTA_HOME=str(collector.home), ROTA_HTTP="127.0.0.1:0", ROTA_GRPC="off", ROTA_AGENT="off")
    ended = subprocess.run([*ROTA, "up"], env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert f"a collector already runs in {collector.home}" in ended.stderr
    assert "rota: the collector ended (exit status 1); stopping the rest" in ended.stderr


def test_the_demo_shows_what_it_promises(tmp_path):
    """`rota demo --exit`: a run that succeeds, one that fails, one that hangs; the tasks of one; nothing is left behind."""
    environment = clean_environment(TMPDIR=str(tmp_path), ROTA_HOME=str(tmp_path / "never"), ROTA_ENDPOINT="http://127.0.0.1:1")
    ended = subprocess.run([*ROTA, "demo", "--exit"], env=environment, capture_output=True, text=True, check=False, timeout=180)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    for workflow, state in (("airports.etl", "succeeded"), ("flaky_report", "failed"), ("flaky_report", "succeeded")):
        assert [line for line in lines if workflow in line and f" {state}" in line]
    assert [line for line in lines if "stuck_sync" in line and " running" in line]
    assert [line for line in lines if "stuck_sync" in line and " cancelled" in line]
    assert {"extract", "transform", "load", "report"} <= {line.split()[0] for line in lines if " succeeded " in line}
    assert "FeedError" in ended.stdout
    assert "dashboard  http://127.0.0.1:" in ended.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("rota-demo")] == []
    assert not (tmp_path / "never").exists()
