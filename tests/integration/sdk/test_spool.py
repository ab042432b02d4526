"""The spool as a whole: what any OpenTelemetry receiver reads, what many scripts at once make of it, and where it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from collectors import CollectorProcess
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_messages import as_protobuf
from scripts import SDK, Outcome, run_script, spool_lines
from servers import clean_environment, rota

SHORT = "import rota\nrota.watch()\nwith rota.task('load'):\n    pass\n"
MANY, AT_ONCE = 120, 12


def many_at_once(home: Path, **environment: str) -> None:
    """So many runs of a short script, some of them side by side."""
    settings = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "PYTHONPATH": str(SDK)}

    def one(number: int) -> tuple[int, bytes, bytes]:
        script = home.parent / ("short%d.py" % number)
        script.write_text(SHORT)
        done = subprocess.run(
            [sys.executable, str(script)],
            env=clean_environment(home, **{**settings, **environment}),
            capture_output=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert set(pool.map(one, range(MANY))) == {(0, b"", b"")}
    assert not (home / "errors.jsonl").exists()


def test_every_line_is_otlp(run: Callable[..., Outcome], home: Path) -> None:
    """The official messages know every field of every line: the file receiver of an OpenTelemetry Collector reads them so."""
    run("""
        import rota
        rota.watch("etl", schedule="0 2 * * *", tags=["a", "b"])
        with rota.task("load"):
            rota.record(rows=1, share=0.5, ok=True, names=["a", None], more={"x": {"y": "zażółć"}}, size=2**70, odd=float("nan"))
        try:
            with rota.task("fails"):
                raise ValueError("no such thing")
        except ValueError:
            pass
        with rota.run("inner"):
            pass
        raise SystemExit(3)
    """)
    kinds: dict[str, Any] = {"resourceLogs": ExportLogsServiceRequest, "resourceSpans": ExportTraceServiceRequest}
    read = [as_protobuf(line, kinds[next(iter(line))]()) for line in spool_lines(home)]
    spans = [
        span for each in read for group in getattr(each, "resource_spans", ()) for s in group.scope_spans for span in s.spans
    ]
    assert sorted(span.name for span in spans) == ["etl", "fails", "inner", "load"]
    assert {len(span.trace_id) for span in spans} == {16}


def test_many_short_runs_at_once_all_arrive(home: Path, collector: CollectorProcess) -> None:
    """Scripts that share a home do not get into each other's way: each run has its start, its end and its task, once."""
    many_at_once(home, ROTA_ENDPOINT=collector.url)
    rota("agent", "--once", environment=clean_environment(home, ROTA_ENDPOINT=collector.url))
    runs = collector.applied().all_runs()
    assert sorted(run["workflow"] for run in runs) == sorted("short%d" % number for number in range(MANY))
    assert {run["state"] for run in runs} == {"succeeded"}
    counted = collector.post(
        "/api/v1/sql", {"query": "SELECT name = 'load' AS is_task, count(*) AS n FROM spans GROUP BY 1 ORDER BY 1"}
    )
    assert [row["n"] for row in counted.json()["items"]] == [MANY, MANY]


def test_many_that_nobody_took_are_carried_by_one(home: Path, collector: CollectorProcess) -> None:
    """With the collector closed all of them leave their files, which one shipper delivers and removes."""
    many_at_once(home)
    done = rota("agent", "--once", environment=clean_environment(home, ROTA_ENDPOINT=collector.url))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(collector.applied().all_runs()) == MANY
    assert not list((home / "spool").rglob("*.jsonl"))


def test_damage_costs_the_damaged(home: Path, collector: CollectorProcess) -> None:
    """A byte of each third file of dead scripts went bad: the collector has all runs' ends, and the damaged lines are kept."""
    many_at_once(home)
    files = sorted((home / "spool/left").glob("*.logs.jsonl"))
    for file in files[::3]:
        data = bytearray(file.read_bytes())
        data[len(data) // 4] ^= 0x80  # in the first line, which tells of the start
        file.write_bytes(data)
    done = rota("agent", "--once", environment=clean_environment(home, ROTA_ENDPOINT=collector.url))
    assert done.returncode == 0
    assert {run["state"] for run in collector.applied().all_runs()} == {"succeeded"}
    assert len(collector.all_runs()) == MANY
    assert len(list((home / "spool/bad").iterdir())) == len(files[::3])


def test_a_home_that_nobody_empties_is_bounded(home: Path, collector: CollectorProcess) -> None:
    """Spans of old runs go, their states stay; when the collector is back, each run's log says how many of its spans are gone."""
    many_at_once(home)
    for file in (home / "spool/left").iterdir():
        os.utime(file, (time.time() - 3600,) * 2)
    states = sum(file.stat().st_blocks * 512 for file in (home / "spool/left").glob("*.logs.jsonl"))
    tight = clean_environment(home, ROTA_ENDPOINT="http://127.0.0.1:1", ROTA_SPOOL_MB=str(states / (1 << 20)))
    assert rota("agent", "--once", environment=tight).returncode == 1
    assert list((home / "spool/left").glob("*.traces.jsonl")) == []
    assert rota("agent", "--once", environment=clean_environment(home, ROTA_ENDPOINT=collector.url)).returncode == 0
    runs = collector.applied().all_runs()
    assert len(runs) == MANY
    [record] = collector.item(f"/runs/{runs[0]['id']}/logs", plain=True)["items"]
    assert record["body"] == "2 spans of this run were dropped: the spool was full, or they were too old"


def test_where_nobody_listens_a_shipper_is_started_once_an_hour(home: Path) -> None:
    """It bounds the spool of a host without collector and agent; the scripts in between start none."""
    for _ in range(2):
        run_script(SHORT, home, environment={"ROTA_DETACH": "on", "ROTA_SPOOL_DAYS": "0.00001"})
        mark = home / "spool/once.failed"
        deadline = time.monotonic() + 30
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
    traced = home.parent / "trace"
    environment = clean_environment(home, ROTA_AGENT="off", ROTA_ENDPOINT="http://127.0.0.1:1", PYTHONPATH=str(SDK))
    script = home.parent / "job.py"
    count = ["strace", "-f", "-qq", "-e", "trace=execve", "-o", str(traced), sys.executable, str(script)]
    subprocess.run(count, env=environment, check=True)
    assert traced.read_text().count("execve(") == 1
    os.utime(mark, (time.time() - 3601,) * 2)
    subprocess.run(count, env=environment, check=True)
    assert traced.read_text().count("execve(") > 1


def test_a_single_line_can_be_read_by_anybody(home: Path) -> None:
    """Lines are ASCII and end in a newline, whatever is recorded."""
    run_script("import rota\nrota.watch('zażółć')\nrota.record(a='\\n\\u2028\\x00')\n", home)
    for file in (home / "spool").rglob("*.jsonl"):
        data = file.read_bytes()
        assert data.isascii()
        assert data.endswith(b"\n")
        assert all(json.loads(line) for line in data.splitlines())
