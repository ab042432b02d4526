"""Whichever way the same facts take to the collector, they leave the same rows in DuckDB."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from collectors import CollectorProcess
from scripts import run_script
from servers import client_of, poll, rota

from rota import _config
from rota._http import HttpCarrier
from rota._spool import Spool
from rota.agent.carrier import Carrier
from rota.agent.once import drain
from rota.agent.ship import Shipper

# Tasks, an error, attributes of all kinds, text of all kinds, a run inside a run, spans of the program's own opentelemetry.
SCRIPT = r"""
import datetime, decimal, pathlib
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
import rota, rota.otel

rota.watch("etl.zażółć", schedule="0 2 * * *", grace="15m", tags=["a", "ü"])
resource = Resource({"service.name": "shop", "n": 1, "list": ["a", "b"]})
provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_attributes=12))
rota.otel.install(provider)
tracer = provider.get_tracer("shop.lib", "2.1", schema_url="https://s", attributes={"team": "a"})

with rota.task("wczytaj 🦀"):
    rota.record(text="ü \u0000 \" \\ \n \ud800 🦀", empty="", long="x" * 20_000, no=False, yes=True, nothing=None)
    rota.record(zero=0, least=-(2**63), most=2**63 - 1, huge=2**70, half=0.1, tiny=5e-324)
    rota.record(infinite=float("inf"), nan=float("nan"))
    rota.record(listed=[1, "b", None, [2.5]], mapped={"k": {"deep": True}}, day=datetime.date(2026, 2, 28), thing=object())
    rota.record(price=decimal.Decimal("1.10"), path=pathlib.PurePosixPath("/x"))
    attributes = {"db.rows": 7, "raw": b"\0\xff", "mapped": {"k": [b"x", None]}}
    with tracer.start_as_current_span("query", kind=SpanKind.CLIENT, attributes=attributes):
        pass
with rota.run("inner"):
    with rota.task("part"):
        pass
remote = trace.set_span_in_context(trace.NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(1), TraceState([("v", "1")]))))
links = [Link(SpanContext(1, 2, True), {"why": "x"})]
span = tracer.start_span("remote", context=remote, links=links, attributes={str(n): n for n in range(20)})
span.add_event("noted", {"n": 1})
span.set_status(Status(StatusCode.ERROR, "źle"))
span.end()
with rota.task("fails"):
    raise ValueError("row 7: ü") from KeyError("cause")
"""
TABLES = ("spans", "logs", "run_events", "runs")


@pytest.fixture(scope="module")
def spooled(tmp_path_factory) -> Path:
    """The spool of one execution of the script, which nobody took."""
    home = tmp_path_factory.mktemp("origin") / "home"
    outcome = run_script(SCRIPT, home)
    assert (outcome.code, outcome.errors) == (1, "")
    assert len(outcome.spans) == 7
    assert len(outcome.events) > 4
    return home / "spool"


def by_the_sdk(home: Path, server: CollectorProcess) -> None:
    """The script's own forwarder, over a spool of a process that wrote these lines."""
    spool = Spool(str(home / "sdk"), "1-00ff", "{}")
    for file in (home / "spool/left").iterdir():
        write = spool.logs.append if ".logs." in file.name else spool.traces.append
        for line in file.read_bytes().splitlines(keepends=True):
            write(line)
        file.unlink()
    address = _config.split_plain_url(server.url)
    assert address is not None
    HttpCarrier(spool, address).close()
    assert not list((home / "sdk").rglob("*.jsonl"))


def by_a_resident_agent(home: Path, server: CollectorProcess) -> None:
    """`rota agent` in the foreground."""
    with subprocess.Popen([sys.executable, "-m", "rota", "agent"], env=client_of(server), stderr=subprocess.DEVNULL) as agent:
        poll(lambda: not left(home), "the agent did not carry everything")
        agent.terminate()


def by_the_agent_once(home: Path, server: CollectorProcess) -> None:
    """`rota agent --once`, raw lines."""
    assert rota("agent", "--once", environment=client_of(server)).returncode == 0


def by_the_official_http_exporter(home: Path, server: CollectorProcess) -> None:
    """The agent, to a server of which it believes that it is not rota."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROTA_ENDPOINT", server.url)
        shipper = Shipper(is_rota=False)
        assert drain(str(home), Carrier(shipper, pytest.fail))
        shipper.close()


def by_the_official_grpc_exporter(home: Path, server: CollectorProcess) -> None:
    """`rota agent --once` with OTEL_EXPORTER_OTLP_PROTOCOL=grpc."""
    asked = {**client_of(server), "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = rota("agent", "--once", "--verbose", environment=asked)
    assert done.returncode == 0, done.stderr


WAYS: dict[str, Callable[[Path, CollectorProcess], None]] = {
    "sdk": by_the_sdk,
    "agent": by_a_resident_agent,
    "once": by_the_agent_once,
    "http": by_the_official_http_exporter,
    "grpc": by_the_official_grpc_exporter,
}


@pytest.fixture(scope="module")
def rows(spooled, tmp_path_factory) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Way -> table -> its rows, after the same spool went that way to a collector of its own."""
    return {name: delivered(way, spooled, tmp_path_factory.mktemp(name) / "home") for name, way in WAYS.items()}


def delivered(way: Callable[[Path, CollectorProcess], None], spooled: Path, home: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of every table once the collector has applied all that came."""
    home.mkdir()
    server = CollectorProcess(home, home.with_suffix(".log"), ROTA_GRPC="127.0.0.1:0").start()
    try:
        shutil.copytree(spooled, home / "spool")
        way(home, server)
        assert not left(home)
        assert not (home / "spool/bad").exists()
        assert server.applied().stop() == 0, server.stderr
    finally:
        server.close()
    with duckdb.connect(str(home / "telemetry.duckdb"), read_only=True) as database:
        return {table: in_order(database.sql(f"SELECT * FROM {table}")) for table in TABLES}


def left(home: Path) -> list[Path]:
    """What has not been carried."""
    return [file for place in ("left", "live") for file in (home / "spool" / place).glob("*.jsonl")]


def in_order(table: Any) -> list[dict[str, Any]]:
    """The rows as dicts, in an order that does not depend on that of arrival; not what the collector itself adds."""
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.fetchall())
    return sorted((row for row in rows if row.get("service") != "rota-collector"), key=repr)


def test_the_script_left_something_of_everything(rows):
    """Seven spans, the states of two runs, both runs: what is compared is worth comparing."""
    reference = rows["once"]
    assert sorted(span["name"] for span in reference["spans"]) == sorted(
        ["etl.zażółć", "wczytaj 🦀", "query", "inner", "part", "remote", "fails"]
    )
    assert {run["workflow"]: run["state"] for run in reference["runs"]} == {"etl.zażółć": "failed", "inner": "succeeded"}
    (remote,) = [span for span in reference["spans"] if span["name"] == "remote"]
    assert remote["dropped"] > 0
    assert remote["links"]
    assert remote["events"]
    assert remote["trace_state"] == "v=1"


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("way", [name for name in WAYS if name != "once"])
def test_every_way_leaves_the_same_rows(rows, way, table):
    """Every column of every row is equal, whether raw or through an exporter, by HTTP or gRPC."""
    assert rows[way][table] == rows["once"][table]
