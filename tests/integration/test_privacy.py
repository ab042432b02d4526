"""What does not leave a host: neither what nobody asked for, nor secrets in what somebody did ask for."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from docs_blocks import DOCS
from execs import environment, words
from scripts import SDK, spool_lines

PLACES = ("environment", "argument", "local", "global", "attribute", "stdout", "stderr", "stdin", "task_argument", "returned")
JOB = """
import os, sys, rota
rota.watch({watch})
held = sys.stdin.readline()
environment, argument, local = os.environ["PLACE"], sys.argv[1], sys.argv[2]

class Row:
    def __init__(self, attribute):
        self.attribute = attribute

@rota.task
def load(task_argument):
    hidden = Row(environment + argument)
    if os.environ.get("FAILS"):
        raise ValueError("no such day")
    return os.environ["RETURNED"]

rota.record(marker="{marker}", row=Row(local))
print(os.environ["STDOUT"])
print(os.environ["STDERR"], file=sys.stderr)
load(local)
"""


class Canaries:
    """Values of no secret shape and under no secret key: only that nobody looks keeps them here."""

    def __init__(self) -> None:
        self.values = {place: "bird" + secrets.token_hex(8) for place in PLACES}
        self.marker = "mark" + secrets.token_hex(8)

    def environment(self, home: Path, **more: str) -> dict[str, str]:
        """An environment that holds some of them."""
        found = self.values
        held = {
            "PLACE": found["environment"],
            "STDOUT": found["stdout"],
            "STDERR": found["stderr"],
            "RETURNED": found["returned"],
        }
        return environment(home, **held, **more)

    def job(self, folder: Path, watch: str = "") -> list[str]:
        """A script that touches all of them, with its arguments."""
        script = folder / "job.py"
        script.write_text(JOB.format(watch=watch, marker=self.marker))
        return [sys.executable, str(script), self.values["argument"], self.values["local"]]

    def seen_in(self, text: str) -> list[str]:
        """Where those came from that are in ``text``; the marker, which was recorded, has to be."""
        assert self.marker in text
        return [place for place, value in self.values.items() if value in text]


def spooled(home: Path) -> str:
    return b"".join(file.read_bytes() for file in sorted(home.rglob("*")) if file.is_file()).decode("latin-1")


def stored(home: Path) -> str:
    """Every row of every table that a stopped collector left, and its journal and other files as they are."""
    with duckdb.connect(str(home / "telemetry.duckdb"), read_only=True) as database:
        tables = [row[0] for row in database.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        rows = [str(database.table(table).fetchall()) for table in tables]
    return "\n".join(rows) + spooled(home)


VARIED = """
import subprocess, sys, rota
rota.watch("varied", schedule="every 5m", tz="UTC", grace="1m", max_duration="1h", tags=["a"])

@rota.task
def load(fails):
    if fails:
        raise ValueError("x")

with rota.run("inner"):
    load(False)
rota.record(my_fact=1)
import logging, smtplib, sqlite3, urllib.request, warnings
rows = sqlite3.connect(":memory:")
rows.execute("CREATE TABLE t (a)")
rows.execute("INSERT INTO t VALUES (1)")
for _ in range(300):
    rows.execute("SELECT a FROM t").fetchall()
for _ in range(1100):
    logging.getLogger("quiet").error("said")
warnings.warn("beware")
try:
    urllib.request.urlopen("http://127.0.0.1:1/")
except OSError:
    pass
import time; time.sleep(0.3)
subprocess.run([sys.executable, "-c", "import rota; rota.watch('child')"], check=True)
load(True)
"""


def test_the_page_lists_every_attribute_that_leaves(tmp_path):
    """What scripts, tasks, failures, children and commands put into the spool is on the page; no name there is made up."""
    table = (DOCS / "what-leaves-the-host.md").read_text().partition("## Every attribute")[2].partition("\n## ")[0]
    first_cells = " ".join(re.findall(r"^\| (`[^|]+)\|", table, re.MULTILINE))
    listed = {name for name in re.findall(r"`([^`]+)`", first_cells) if "." in name}
    home, script = tmp_path / "home", tmp_path / "varied.py"
    script.write_text(VARIED)
    for command in (
        [sys.executable, str(script)],
        words("--tail", "1k", sys.executable, str(script)),
        words("sh", "-c", "kill $$"),
    ):
        subprocess.run(command, env=environment(home), capture_output=True, check=False, timeout=60)
    seen = set(_keys(list(spool_lines(home))))
    assert "my_fact" in seen
    assert seen - listed == {"my_fact"}
    source = "".join((SDK / "rota" / file).read_text() for file in ("wire/names.py", "_run.py", "agent/sample.py"))
    assert {name for name in listed if f'"{name}"' not in source} == set()


def _keys(part: object) -> Iterator[str]:
    if isinstance(part, list):
        for each in part:
            yield from _keys(each)
    elif isinstance(part, dict):
        if "key" in part:
            yield part["key"]
        for each in part.values():
            yield from _keys(each)


@pytest.mark.parametrize("fails", ["", "1"], ids=["well", "failed"])
@pytest.mark.parametrize("under", ["watch", "tasks", "exec", "exec-sh"])
def test_nothing_is_recorded_unasked(tmp_path, under, fails):
    """Values in the environment, in arguments, variables, streams and results are in no file that rota writes."""
    home, canaries = tmp_path / "home", Canaries()
    command = canaries.job(tmp_path, "tasks=['load']" if under == "tasks" else "")
    if under == "exec":
        command = words(*command)
    elif under == "exec-sh":
        command = words("sh", "-c", 'exec "$0" "$@"; : ' + canaries.values["global"], *command)
    env = canaries.environment(home, FAILS=fails)
    done = subprocess.run(
        command, env=env, input=canaries.values["stdin"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == (1 if fails else 0)
    assert canaries.values["stdout"] in done.stdout
    assert canaries.seen_in(spooled(home)) == []
    assert ("no such day" in spooled(home)) is bool(fails)


@pytest.mark.parametrize("under", ["watch", "exec"])
def test_nothing_is_stored_unasked(new_collector, tmp_path, under):
    """Nor are they in the collector's journal, its DuckDB or anything else it keeps."""
    collector, canaries = new_collector().start(), Canaries()
    job = canaries.job(tmp_path)
    env = canaries.environment(tmp_path / "job-home", ROTA_ENDPOINT=collector.url, FAILS="1")
    subprocess.run(
        words(*job) if under == "exec" else job, env=env, input="", capture_output=True, text=True, check=False, timeout=60
    )
    assert [run["error_message"] for run in collector.applied_of(tmp_path / "job-home").all_runs()] == ["no such day"]
    collector.stop()
    assert canaries.seen_in(stored(collector.home)) == []


LEAKY = """
import subprocess, rota
rota.watch("etl", tags=["postgres://etl:{secret}@db/orders"])
rota.record(note="connecting with password={secret}", nested={{"db": {{"password": "{secret}", "port": 5432}}}})
with rota.task("load"):
    try:
        subprocess.run(["sh", "-c", "exit 1", "--password", "{secret}"], check=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError("cannot reach https://etl:{secret}@api.example/v1?token={secret}&day=1") from error
"""


def test_secrets_in_what_is_recorded_are_taken_out(new_collector, tmp_path):
    """Facts, tags, messages and stacks leave without them, on the host's disk already; what is around them stays."""
    collector, secret = new_collector().start(), "S3" + secrets.token_hex(10)
    script, home = tmp_path / "leaky.py", tmp_path / "job-home"
    script.write_text(LEAKY.format(secret=secret))
    env = environment(home)
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, secret in done.stderr) == (1, True)
    assert secret not in spooled(home)
    assert "https://etl:[redacted]@api.example/v1?token=[redacted]&day=1" in spooled(home)
    subprocess.run(
        [sys.executable, "-m", "rota", "agent", "--once"], env={**env, "ROTA_ENDPOINT": collector.url}, check=True, timeout=60
    )
    (run,) = collector.applied().all_runs()
    assert run["tags"] == ["postgres://etl:[redacted]@db/orders"]
    collector.stop()
    assert secret not in stored(collector.home)


@pytest.mark.parametrize("limit", ["64", "200", "100k"])
def test_secrets_in_a_kept_output_are_taken_out(tmp_path, limit):
    """The end of the output, and the error that its last lines are, hold none; wherever the cut falls, no part of one is left."""
    home, secret = tmp_path / "home", secrets.token_hex(20) + "ghp"
    line = f"for i in 1 2 3 4 5 6 7 8 9; do echo $i password={secret}; echo https://u:{secret}@h/ >&2; done; exit 3"
    done = subprocess.run(
        words("--tail", limit, "sh", "-c", line), env=environment(home), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout.count(secret.encode())) == (3, 9)
    text = spooled(home)
    assert "password=[redacted]" in text
    assert [secret[at : at + 12] for at in range(len(secret) - 12) if secret[at : at + 12] in text] == []


def test_more_keys_can_be_named(tmp_path):
    """ROTA_REDACT hides what stands under the user's own keys, in facts and in texts, numbers too; others stay."""
    home, script = tmp_path / "home", tmp_path / "job.py"
    script.write_text(
        "import rota\nrota.watch()\nrota.record(customer_iban='DE021203', staff={'salary': 5150}, note='iban: DE021203', n=777)\n"
    )
    subprocess.run([sys.executable, script], env=environment(home, ROTA_REDACT="iban, Salary"), check=True, timeout=60)
    text = spooled(home)
    assert "DE021203" not in text
    assert "5150" not in text
    assert "777" in text


def test_spans_of_opentelemetry_are_redacted(tmp_path):
    """A program's own spans go into our spool without secrets; its own exporters get them as they are."""
    home, script, secret = tmp_path / "home", tmp_path / "job.py", "S3" + secrets.token_hex(10)
    script.write_text(f"""
import rota, rota.otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
rota.watch()
rota.otel.install()
with trace.get_tracer("t").start_as_current_span("GET https://u:{secret}@h/") as span:
    span.set_attribute("http.request.header.authorization", ["Bearer {secret}"])
    span.set_attribute("db.statement", "ALTER USER x; password={secret}")
    span.add_event("retry", {{"url": "https://h/?api_key={secret}", "attempt": 7}})
    span.set_status(trace.StatusCode.ERROR, "token={secret}")
    assert "{secret}" in span.name
""")
    subprocess.run([sys.executable, script], env=environment(home), check=True, timeout=60)
    assert secret not in spooled(home)
    assert spooled(home).count("[redacted]") == 5
