"""The whole path, as its users walk it, and nothing beside it: every module of the tree is on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from collectors import until
from playwright.sync_api import Page
from scripts import PYTHONS
from servers import environment_of, serve

ROOT = Path(__file__).parents[2]
SOURCES = {"rota": "sdk", "rota_collector": "collector", "rota_dashboard": "dashboard", "rota_integrations": "integrations"}
# Found by every interpreter that starts below a test: it notes which modules it used, at its end, when it becomes another
# program, and whenever it imports (some end without atexit).
NOTING = """
import atexit, os, sys
def note(names):
    if "USED_MODULES" in os.environ:
        with open(os.environ["USED_MODULES"], "a") as file:
            file.write("".join(name + chr(10) for name in names if name.startswith("rota")))
def program():
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)  # of ``python -m``
    return spec.name if spec else ""
def note_all():
    note([*sys.modules, program()])
atexit.register(note_all)
def heard(event, args):
    if event == "import":
        note([args[0], program()])
    elif event == "os.exec":
        note_all()
sys.addaudithook(heard)
"""
# The process that sends alerts inherits nothing, so it cannot note; that a channel of Apprise was checked is its doing.
SENDING = {f"rota_collector.notify.{name}" for name in ("apprise_channel", "guard", "urls", "webhook")}
AS_ROOT = {"rota.agent.become", "rota.agent.porter"}  # one agent for all users: tests/integration/test_agent_all_users.py

# Two lines, and everything else that the SDK offers.
JOB = """
import asyncio, sys
import rota
def extract(): rota.record(rows=3)
def main():
    extract()
    with rota.run("inner"):
        pass
    if sys.argv[1:] == ["fail"]:
        raise ValueError("row 7")
if __name__ == "__main__":
    rota.watch("job", tasks=["extract"])
    main()
"""
BRIDGED = """
import rota, rota.otel
from opentelemetry.sdk.trace import TracerProvider
rota.watch("bridged")
provider = TracerProvider()
rota.otel.install(provider)
with provider.get_tracer("mine").start_as_current_span("own"):
    pass
"""
TESTED = """
import rota
def test_job(rota_runs):
    with rota.run("captured"):
        rota.record(rows=3)
    assert rota_runs.run("captured").facts == {"rows": 3}
"""
POLICIES = {
    "gated": {"gates": [{"kind": "concurrency", "limit": 1}, {"kind": "host", "disk_free": "1MB"}]},
    "permitted": {
        "gates": [{"kind": "rate", "limit": 9, "per": "1h"}],
        "tasks": {"load_*": {"permit": True, "retry": {"wait": 0, "budget": {"name": "db"}}}},
        "rules": [{"when": "task('load_rows').failures > 5", "do": do} for do in ("cancel()", "deny('load_*')")],
    },
}
# A function that nobody marked, below the line that watches; it fails once.
PERMITTED = """
import rota
rota.watch("permitted")
failed = []
def load_rows():
    if not failed:
        failed.append(1)
        raise ValueError("row 7")
load_rows()
"""
FOREIGN = """
import time
from rota.foreign import Source
now_ns = time.time_ns()
source = Source("elsewhere")
source.task("foreign", ("1",), "load", "succeeded", now_ns, started_ns=now_ns - 10**9)
source.run("foreign", ("1",), "succeeded", now_ns, started_ns=now_ns - 10**9)
source.flush()
"""
# A call into each library that is watched, beside opentelemetry.
CALLING = """
import logging, smtplib, sqlite3, subprocess, sys, urllib.request, warnings
import boto3, duckdb, fsspec, httpx, opentelemetry.context, pandas, polars, psycopg, requests, sqlalchemy
import rota
rota.watch("calling")
sqlite3.connect(":memory:").execute("SELECT 1 AS n").fetchall()
duckdb.connect().execute("SELECT 2 AS n").fetchall()
with sqlalchemy.create_engine("sqlite://").connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 3 AS n")).all()
pandas.DataFrame({"a": [1]}).to_csv(sys.argv[1] + "/x.csv")
assert len(polars.read_csv(sys.argv[1] + "/x.csv")) == 1
fsspec.filesystem("file").cat(sys.argv[1] + "/x.csv")
boto3.client("s3", region_name="eu-central-1", aws_access_key_id="k", aws_secret_access_key="s")
for get in (httpx.get, requests.get, urllib.request.urlopen):
    get(sys.argv[2] + "/healthz").close()
subprocess.run([sys.executable, "-c", ""])
logging.warning("logged")
warnings.warn("warned")
try:
    smtplib.SMTP().sendmail("a@example.org", "b@example.org", "")
except smtplib.SMTPServerDisconnected:
    pass
"""


class Up(NamedTuple):
    """A running ``rota up``: the environment of its users, and all that its processes printed."""

    environment: dict[str, str]
    log: Path

    @property
    def url(self) -> str:
        """Where its collector listens."""
        return "http://" + self.environment["ROTA_HTTP"]

    def runs(self, **filters: str) -> list[dict[str, Any]]:
        """The runs that the API lists now."""
        items: list[dict[str, Any]] = httpx.get(self.url + "/api/v1/runs", params=filters, trust_env=False).json()["items"]
        return items


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """`rota up`; its processes and those of its users note which modules they use."""
    (tmp_path / "noting").mkdir()
    (tmp_path / "noting" / "sitecustomize.py").write_text(NOTING)
    noting = {"PYTHONPATH": str(tmp_path / "noting"), "USED_MODULES": str(tmp_path / "used"), "ROTA_WEBHOOK_ALLOW_PRIVATE": "1"}
    made = Up(environment_of(tmp_path / "home", **noting), tmp_path / "up.log")
    with serve([sys.executable, "-m", "rota", "up"], made.environment, made.log, made.url + "/readyz"):
        until((tmp_path / "home" / "agent.sock").exists, "the agent's start")
        yield made


class User:
    """Runs programs beside it."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up, self.folder = up, folder

    def runs(self, source: str, *arguments: str, status: int = 0, **settings: str) -> str:
        """A script of the user's; returns its stdout."""
        script = self.folder / "script.py"
        script.write_text(source)
        return self._run([sys.executable, str(script), *arguments], status, settings)

    def types(self, *words: str, status: int = 0, **settings: str) -> str:
        """``rota WORDS…``; returns its stdout."""
        return self._run([sys.executable, "-m", "rota", *words], status, settings)

    def tests(self, source: str, workflow: str) -> str:
        """Tests of the user's, as a run; returns what pytest printed."""
        script = self.folder / "test_script.py"
        script.write_text(source)
        options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(self.folder), "--rota", "--rota-name", workflow]
        return self._run([sys.executable, "-m", "pytest", *options, str(script)], 0, {})

    def _run(self, command: list[str], status: int, settings: dict[str, str]) -> str:
        environment = self.up.environment | settings
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == status, done.stderr[-3000:]
        return done.stdout

    def sees(self, workflow: str) -> dict[str, Any]:
        """The last run of a workflow, once it is over."""
        found: list[dict[str, Any]] = until(
            lambda: [run for run in self.up.runs(workflow=workflow) if run["ended_at"]], f"the end of a run of {workflow}"
        )
        return found[0]


def modules() -> set[str]:
    """Every module of the tree but those that are only ever run as programs (Streamlit runs ``app.py``)."""
    found = set()
    for package, folder in SOURCES.items():
        for path in (ROOT / folder / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT / folder).with_suffix("").parts)
            found.add(name.removesuffix(".__init__"))
    return {name for name in found if not name.endswith("__main__")} - {"rota_dashboard.app"}


def test_two_lines_become_a_row_by_every_way(up: Up, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """From the two lines to the page, by every way that facts can take; and every module of the tree has a part in it."""
    user = User(up, tmp_path)
    user.runs(JOB)
    assert user.sees("job")["state"] == "succeeded"
    user.runs(JOB, "fail", status=1)
    user.runs(BRIDGED)
    user.runs(FOREIGN)
    assert "1 passed" in user.tests(TESTED, workflow="tested")
    user.runs(CALLING, str(tmp_path), up.url, KUBERNETES_SERVICE_HOST="10.0.0.1", POD_NAME="nightly-x7k2d")
    alone = {"ROTA_AGENT": "off", "ROTA_DETACH": "off"}
    user.runs(JOB.replace('"job"', '"alone"'), **alone)
    user.runs(JOB.replace('"job"', '"by_grpc"'), **alone, ROTA_HOME=str(tmp_path / "other"), **grpc(up))
    user.runs(JOB.replace('"job"', '"detached"'), ROTA_AGENT="off", ROTA_HOME=str(tmp_path / "third"), **grpc(up))
    user.types("agent", "--once", ROTA_HOME=str(tmp_path / "other"), **grpc(up))
    for workflow in ("bridged", "foreign", "tested", "alone", "by_grpc", "detached", "inner"):
        assert user.sees(workflow)["state"] == "succeeded"
    assert httpx.post(up.url + "/v1/metrics", json={"resourceMetrics": []}, trust_env=False).status_code == 200

    run = user.sees("job")["id"]
    assert "job" in user.types("ls")
    assert run[:18] in user.types("runs", "job")
    assert "extract" in user.types("show", run)
    assert json.loads(user.types("logs", run, "--json"))
    assert user.types("sql", "SELECT DISTINCT workflow FROM runs", "--json").count("workflow") == 9
    called = json.loads(user.types("sql", "SELECT name FROM spans WHERE workflow = 'calling' AND kind = 3", "--json"))
    assert len(called) == 8
    assert "logged" in user.types("logs", user.sees("calling")["id"])
    user.types("doctor")
    assert "delivered" in user.types("agent", "status")
    assert "agent" in user.types("agent", "install", "--print", "--user")
    expects(user, up, tmp_path)
    user.types("collector", status=1)  # there is one already
    user.types("collector", "--help")
    assert "collector" in user.types("collector", "install", "--print", "--user")
    obeys(user, up)
    user.types("export", "--to", str(tmp_path / "exported"))
    assert "policy" in user.types("audit")
    user.types("collector", "backup", str(tmp_path / "backup"))
    user.types("collector", "vacuum")
    user.types("dashboard", "--help")
    user.types("demo", "--exit")
    looks(up, request.getfixturevalue("page"), run)  # last: where there is no browser, all that stands above has been tried

    rooms = {name for name in modules() if name.startswith("rota_integrations")}  # tests/contract/test_observers.py
    unused = modules() - set((tmp_path / "used").read_text().split()) - SENDING - AS_ROOT - rooms
    assert sorted(unused) == []


def expects(user: User, up: Up, tmp_path: Path) -> None:
    """A schedule, a prefix, a ping, and what people do about what they are told."""
    policy = tmp_path / "rota.yaml"
    policy.write_text("workflow: job\nschedule: {cron: '0 2 * * *', tz: Europe/Berlin, grace: 15m}\n")
    assert "02:00" in user.types("schedule", "next", "0 2 * * *")
    user.types("policy", "check", "-f", str(policy))
    user.types("policy", "apply", "-f", str(policy))
    assert "Berlin" in user.types("policy", "get", "job")
    assert "Berlin" in user.types("policy", "get", "--all")
    assert "schedule" in json.loads(user.types("policy", "schema"))["properties"]
    user.types("channel", "add", "nowhere", "json://127.0.0.1:9/never")
    until(lambda: "job" in user.types("slots"), "the first slot")
    assert "job" in user.types("incidents", "--all")  # it failed once, and nobody had to ask to be told
    user.types("pause", "job", "--for", "1h")
    user.types("resume", "job")
    user.types("maintenance", "ls")
    key = json.loads(user.types("key", "create", "--scope", "ping", "--workflow", "pinged", "--json"))["key"]
    assert httpx.get(f"{up.url}/ping/{key}", trust_env=False).text == "OK"
    assert user.sees("pinged")["state"] == "succeeded"
    assert user.types("exec", "--tail", "100", "--name", "prefixed", "--", "echo", "as ever") == "as ever\n"
    assert user.sees("prefixed")["source"] == "exec"


def obeys(user: User, up: Up) -> None:
    """Policy takes hold: retries, gates, a person's word, permission for functions, and levels up and down."""
    assert "observe" in user.types("advise", "inner")
    user.types("promote", "inner", "--to", "retry")
    user.types("demote", "inner", "--to", "observe")
    assert "attempts" in user.types("policy", "diff", "inner", "--from", "1", "--to", "2")
    user.types("exec", "--attempts", "2", "--wait", "0s", "--name", "tried", "--", "false", status=1)
    assert user.sees("tried")["attempt"] == 2
    for name, policy in POLICIES.items():
        assert httpx.put(f"{up.url}/api/v1/workflows/{name}/policy", json=policy, trust_env=False).status_code == 200
    home = Path(up.environment["ROTA_HOME"]) / "policy"
    until(lambda: all((home / f"{name}.json").exists() for name in POLICIES), "the agent to bring the policies")
    assert user.types("gate", "check", "gated").startswith("go")
    assert user.types("exec", "--name", "gated", "--", "echo", "held") == "held\n"
    user.runs(PERMITTED)
    assert user.sees("permitted")["state"] == "succeeded"
    alone = {"ROTA_AGENT": "off", "ROTA_DETACH": "off"}
    user.runs(PERMITTED, **alone)
    until(lambda: brings_policies(user), "a script to bring the policies to its host")
    assert user.types("approve") == "nothing waits for approval\n"
    user.types("observe", "kubernetes", "--once", "--server", "http://127.0.0.1:9", status=1)  # nobody is there
    user.types("cancel", "permitted", status=1)  # it is over


def brings_policies(user: User) -> bool:
    """Whether a script on a host where nobody has brought any did so, before its code began."""
    home = user.folder / "fourth"
    (home / "spool" / "policies.silent").unlink(missing_ok=True)  # this machine may be busy, and was not waited for
    user.runs(PERMITTED, ROTA_AGENT="off", ROTA_DETACH="off", ROTA_HOME=str(home))
    return (home / "policy" / "permitted.json").exists()


def looks(up: Up, page: Page, run: str) -> None:
    """Every page of the dashboard, and what is done there."""
    base = "http://" + up.environment["ROTA_DASHBOARD"]
    [incident] = httpx.get(up.url + "/api/v1/incidents?workflow=job", trust_env=False).json()["items"]
    for path, wanted in {
        "/": "prefixed",
        "/workflow?name=job": "at 02:00",
        f"/run?id={run}": "row 7",
        "/timeline": "What ran at",
        "/incidents": "job",
        f"/incident?id={incident['id']}": "Who was told",
        "/spectrum": "Where your workflows stand",
        "/policy?name=gated": "Policy of gated",
        "/approvals": "Nothing waits for a person.",
    }.items():
        page.goto(base + path)
        page.get_by_text(wanted).first.wait_for()


def grpc(up: Up) -> dict[str, str]:
    """Settings of a user whose collector takes gRPC only."""
    return {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + up.environment["ROTA_GRPC"]}


@pytest.mark.parametrize("version", PYTHONS)
def test_two_lines_become_a_row_on_every_python(up: Up, version: str, tmp_path: Path) -> None:
    """A script under any supported CPython, with nothing installed but the SDK, is a run in the table."""
    script = tmp_path / "job.py"
    script.write_text("import rota\nrota.watch()\n")
    environment = up.environment | {"PYTHONPATH": str(ROOT / "sdk")}
    done = subprocess.run([PYTHONS[version], str(script)], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    listed = until(lambda: [r for r in up.runs() if r["ended_at"]], "the end of the run")
    assert [(r["workflow"], r["state"], r["exit_code"]) for r in listed] == [("job", "succeeded", 0)]
    assert os.listdir(tmp_path / "home" / "spool" / "live") == []
