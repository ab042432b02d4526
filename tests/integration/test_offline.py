"""`rota schedule` and `rota policy check`: answers of the collector's own code, without a collector that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from rota.cli import _parts, main

CLOSED = "http://127.0.0.1:1"
GOOD = """\
workflow: etl.nightly
schedule: {cron: "0 2 * * *", tz: Europe/Berlin, grace: 15m}
---
workflow: mail.digest
schedule: {every: 10m}
"""


@pytest.fixture
def rota(tmp_path, monkeypatch):
    """Runs one command line as its own process, with no collector in reach."""
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROTA_ENDPOINT", CLOSED)

    def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "rota", *words]
        return subprocess.run(command, cwd=tmp_path, input=stdin, capture_output=True, text=True, check=False)

    return run


def test_the_coming_slots_are_printed_in_utc_and_local_time(rota):
    """One a line; `--from` without a zone is a time of the schedule's zone."""
    done = rota("schedule", "next", "0 2 * * *", "--tz", "Europe/Berlin", "--from", "2026-10-24T02:00", "--count", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2026-10-25T00:00:00Z  2026-10-25T02:00:00+02:00",
        "2026-10-26T01:00:00Z  2026-10-26T02:00:00+01:00",
    ]


def test_the_coming_slots_as_json(rota):
    """A list of {utc, local}; a calendar of several lines is one argument."""
    done = rota("schedule", "next", "02:00; 14:00", "--from", "2026-01-31T02:00:00Z", "--count", "2", "--json")
    assert json.loads(done.stdout) == [
        {"utc": "2026-01-31T14:00:00Z", "local": "2026-01-31T14:00:00+00:00"},
        {"utc": "2026-02-01T02:00:00Z", "local": "2026-02-01T02:00:00+00:00"},
    ]


def test_five_slots_from_now_on_are_the_default(rota):
    """A question without a time is about the future."""
    before = datetime.now(UTC)
    slots = [datetime.fromisoformat(slot["utc"]) for slot in json.loads(rota("schedule", "next", "* * * * *", "--json").stdout)]
    assert len(slots) == 5
    assert before < slots[0] <= datetime.now(UTC) + timedelta(minutes=1)
    assert {later - sooner for sooner, later in pairwise(slots)} == {timedelta(minutes=1)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0 0 30 2 *"], "never comes"),
        (["0 0 30 2 *", "--json"], "never comes"),
        (["61 * * * *"], "'61' is not between 0 and 59"),
        (["@reboot"], "@reboot has no time"),
        (["0 2 * * *", "--tz", "Mars/Olympus"], "'Mars/Olympus' is no time zone"),
        (["0 2 * * *", "--from", "tomorrow"], "'tomorrow' is no time"),
        (["0 2 * * *", "--from", "9999-12-31"], "not between 1971 and 2199"),
        (["0 2 * * *", "--from", "0001-01-01"], "not between 1971 and 2199"),
        (["0 2 * * *", "--from", "2026-01-01T00:00:00+23:59"], None),
    ],
    ids=str,
)
def test_a_schedule_without_slots_is_an_error(rota, words, said):
    """Exit status 1 and the reason on stderr, in one line."""
    done = rota("schedule", "next", *words)
    assert done.returncode == (1 if said else 0)
    assert (said or "") in done.stderr
    assert len(done.stderr.splitlines()) == (1 if said else 0)


@pytest.mark.parametrize("count", ["0", "-1", "10001", "many"])
def test_a_count_that_cannot_be_meant_is_wrong_usage(rota, count):
    """Exit status 2, and a word about it."""
    done = rota("schedule", "next", "0 2 * * *", "--count", count)
    assert done.returncode == 2
    assert "--count" in done.stderr
    assert done.stdout == ""


def test_an_interval_as_long_as_allowed_has_slots_until_time_ends(rota):
    """No year beyond what can be written."""
    done = rota("schedule", "next", "every 400d", "--from", "2190-01-01", "--count", "10000")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 9)


def test_who_reads_only_the_first_slots_is_no_error(rota, tmp_path):
    """`rota schedule next … | head -1` says nothing on stderr."""
    line = f'"{sys.executable}" -P -m rota schedule next "* * * * *" --count 10000 | head -1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 1)


def test_check_says_a_schedule_in_words(rota):
    """With its zone and the coming slots."""
    done = rota("schedule", "check", "0 2 * * *", "--tz", "Europe/Berlin", "--grace", "15m")
    assert (done.returncode, done.stderr) == (0, "")
    words, *slots = done.stdout.splitlines()
    assert words == "At 02:00 every day (Europe/Berlin)"
    assert len(slots) == 3


def test_check_warns_and_refuses(rota):
    """A warning leaves exit status 0; an error, a wrong grace among them, makes it 1."""
    done = rota("schedule", "check", "every 10m", "--grace", "20m")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: the grace of 20 min")
    done = rota("schedule", "check", "0 0 30 2 *")
    assert done.returncode == 1
    assert done.stderr.startswith("error: '0 0 30 2 *' never comes")
    done = rota("schedule", "check", "0 2 * * *", "--grace", "soon")
    assert (done.returncode, done.stderr[:14]) == (1, "rota: grace: '")


def test_a_file_of_policies_is_checked(rota, tmp_path):
    """YAML of several documents, JSON with a list, and stdin."""
    (tmp_path / "rota.yaml").write_text(GOOD)
    done = rota("policy", "check", "-f", "rota.yaml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "2 policies are well: etl.nightly, mail.digest\n", "")
    (tmp_path / "rota.json").write_text(json.dumps([{"workflow": "a", "per": "host"}, {"workflow": "b"}]))
    assert rota("policy", "check", "--file", "rota.json").stdout == "2 policies are well: a, b\n"
    assert rota("policy", "check", "-f", "-", stdin="- {workflow: a}\n- {workflow: b}\n").stdout == "2 policies are well: a, b\n"


def test_every_problem_of_every_document_is_told(rota):
    """Exit status 1; each line names the workflow, the path and the reason. A schedule is read as the collector reads it."""
    documents = (
        "workflow: a\nschedul: {}\nper: hst\n",
        "workflow: b\nschedule: {cron: 0 0 30 2 *}\n",
        "kind: script\n",
        "workflow: a\n",
    )
    done = rota("policy", "check", "-f", "-", stdin="---\n".join(documents))
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.partition(", with")[0] for line in done.stderr.splitlines()] == [
        "-:2: error: a: schedul: unknown key",
        "-:3: error: a: per: 'hst' is none of workflow, host",
        "-:6: error: b: schedule: '0 0 30 2 *' never comes (looked 40 years ahead)",
        "-:8: error: (no name): workflow: the document does not say whose it is",
        "-:10: error: a: workflow: two documents are of 'a'",
    ]


def test_a_warning_leaves_a_policy_usable(rota):
    """It is said on stderr, with exit status 0."""
    done = rota("policy", "check", "-f", "-", stdin="workflow: a\nschedule: {every: 10m, grace: 20m}\n")
    assert (done.returncode, done.stdout) == (0, "1 policy is well: a\n")
    assert done.stderr.startswith("-:2: warning: a: schedule: the grace of 20 min")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("none.yaml", None, "cannot read none.yaml: No such file or directory"),
        (".", None, "there is no file below . that ends in .yaml, .yml, .json"),
        ("rota.yaml", "schedule: {cron: * 2 * * *}\n", "rota.yaml: line 1, column 19"),
        ("rota.yaml", "# nothing\n", "there is no document in it"),
        ("rota.json", "{'a': 1}", "rota.json: "),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(rota, tmp_path, file, text, said):
    """Exit status 1 and the place, no traceback."""
    if text is not None:
        (tmp_path / file).write_text(text)
    done = rota("policy", "check", "-f", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rota: ")
    assert said in done.stderr


def test_what_a_file_says_does_not_move_the_cursor(rota):
    """Control characters of a name are written out."""
    done = rota("policy", "check", "-f", "-", stdin='workflow: "a\\e[2J"\nper: hst\n')
    assert "\x1b" not in done.stderr
    assert "a\\x1b[2J: per:" in done.stderr


def folder_of(tmp_path):
    """Three files of policies, one of them hidden; `a` and `b` wait for each other."""
    (tmp_path / "policies" / "more").mkdir(parents=True)
    (tmp_path / "policies" / "a.yaml").write_text(
        "# first\n- workflow: a\n  gates:\n    - {kind: upstream,\n       workflow: b}\n"
    )
    (tmp_path / "policies" / "more" / "b.json").write_text('{"workflow": "b", "schedule": {"after": {"workflow": "a"}}}')
    (tmp_path / "policies" / ".c.yaml").write_text("workflow: c\nper: hst\n")


def test_a_folder_is_checked_as_one(rota, tmp_path):
    """All its files, those below it too, and what they say of each other; each problem with the line of the key."""
    folder_of(tmp_path)
    done = rota("policy", "check", "-f", "policies")
    assert (done.returncode, done.stdout) == (1, "")
    why = "none of them could ever begin: one has to go first"
    assert done.stderr.splitlines() == [
        "policies/a.yaml:5: error: a: gates[0].workflow: a → b → a: " + why,
        "policies/more/b.json: error: b: schedule.after.workflow: b → a → b: " + why,
    ]


def test_a_check_for_programs(rota, tmp_path):
    """As JSON: each document with its file, its line, and what is wrong with it; exit status 1 when anything is."""
    folder_of(tmp_path)
    done = rota("policy", "check", "-f", "policies/a.yaml", "-f", "-", "--json", stdin="workflow: d\nper: hst\n")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == [
        {"file": "policies/a.yaml", "line": 2, "workflow": "a", "problems": [], "warnings": []},
        {"file": "-", "line": 1, "workflow": "d", "warnings": [],
         "problems": [{"line": 2, "text": "per: 'hst' is none of workflow, host"}]},
    ]  # fmt: skip


def test_a_check_for_github(rota, tmp_path, monkeypatch):
    """There each problem is an annotation of its line besides."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (tmp_path / "a,b.yaml").write_text("workflow: a\nper: '50%\n\n\n  x'\n")
    done = rota("policy", "check", "-f", "a,b.yaml")
    assert done.returncode == 1
    assert done.stdout == "::error file=a%2Cb.yaml,line=2::per: '50%25\\n\\nx' is none of workflow, host\n"


def test_what_is_not_installed_is_named(monkeypatch, capsys):
    """On a host that only runs jobs, the command says what to install."""
    monkeypatch.setitem(_parts.NEEDS, "offline", ("no_such_module",))
    assert main(["schedule", "next", "0 2 * * *"]) == 1
    assert "needs no_such_module: pip install 'rota[server]'" in capsys.readouterr().err


def test_nothing_heavy_is_loaded():
    """An answer about calendars needs no database, no web framework, no telemetry."""
    code = "import sys, rota_collector.offline; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert {"duckdb", "sqlalchemy", "fastapi", "pydantic", "pyarrow", "grpc", "uvicorn"} & set(done.stdout.split()) == set()
