"""What is sampled of watched processes, and how samples travel."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from otlp_receiver import RUN_ID, Receiver, Reply, receiver, state_line

from rota.agent import samples as samples_module
from rota.agent.deaths import Deaths
from rota.agent.processes import Process
from rota.agent.sample import Sampler, interval_seconds, metrics_of, run_of, usage_of
from rota.agent.samples import Samples
from rota.agent.ship import Shipper
from rota.agent.spool import Spool

STEM = "4242-00ff00ff00ff00ff"
S = 10**9
WITNESS = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, nobody is watched")
LINE = b'{"resourceMetrics":[]}\n'


def process(pid: int, cpu: float = 0.0, resident: int = 0) -> Process:
    """A process that nobody can find in /proc: its number is above every limit."""
    return Process(2**30 + pid, 1, 1, cpu, 0.0, resident, 1)


def metrics(line: bytes) -> dict[str, list[Any]]:
    """Metric name -> the values of its points."""
    found = {}
    for metric in json.loads(line)["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
        points = (metric.get("sum") or metric["gauge"])["dataPoints"]
        found[metric["name"]] = [float(point.get("asDouble", point.get("asInt"))) for point in points]
    return found


@pytest.fixture
def spool(tmp_path) -> Spool:
    """A spool with the open run of one process."""
    (tmp_path / "live").mkdir()
    Path(tmp_path, "live", f"{STEM}.logs.jsonl").write_bytes(state_line("running"))
    return Spool(str(tmp_path))


@pytest.fixture
def deaths() -> Iterator[Deaths]:
    """The watched processes of an agent."""
    with selectors.DefaultSelector() as selector:
        watching = Deaths(selector, pytest.fail)
        yield watching
        watching.close()


@pytest.fixture
def sleeper(spool, deaths) -> Iterator[subprocess.Popen[bytes]]:
    """A watched process that waits for the end of its stdin."""
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"], stdin=-1, stdout=-1
    ) as process:
        process.stdout.readline()
        deaths.watch(process.pid, os.pidfd_open(process.pid), spool, STEM)
        yield process
        process.communicate()


@WITNESS
def test_a_sample_is_the_runs_own(spool, deaths, sleeper):
    """It carries the run's resource, its id and its workflow, so that the collector shows it with the run."""
    clock = [1e9]
    sampler = Sampler(5, lambda: clock[0])
    (line,) = sampler.lines(deaths.living())
    group = json.loads(line)["resourceMetrics"][0]
    assert group["resource"] == json.loads(state_line("running"))["resourceLogs"][0]["resource"]
    pairs = {pair["key"]: pair["value"]["stringValue"] for pair in group["scopeMetrics"][0]["scope"]["attributes"]}
    assert pairs == {"cicd.pipeline.run.id": RUN_ID, "cicd.pipeline.name": "etl", "rota.source": "agent"}
    told = metrics(line)
    assert told["process.memory.usage"][0] > 1 << 20
    assert told["rota.process.descendants"] == [0]
    assert "process.cpu.utilization" not in told  # of one sample there is none
    assert "process.cpu.utilization" in metrics(*sampler.lines(deaths.living()))


@WITNESS
def test_what_was_sampled_is_told_with_the_ending(spool, deaths, sleeper):
    """CPU time and the largest memory, said to be samples; without a sample nothing."""
    (watched,) = deaths.living()
    assert watched.used() == {}
    Sampler(5, lambda: 1e9).lines([watched])
    assert watched.used()["rota.process.measured_by"] == "samples"
    assert watched.used()["rota.process.memory.peak"] > 1 << 20


@WITNESS
def test_a_process_is_not_sampled_before_its_time(deaths, sleeper):
    """A run shorter than the interval costs nothing and tells nothing."""
    (watched,) = deaths.living()
    sampler = Sampler(5, lambda: watched.watched_at + 4.9)
    assert sampler.lines([watched]) == []
    assert watched.sampled is None


@WITNESS
def test_a_process_that_has_ended_is_not_sampled(deaths, sleeper):
    """Its number may be another's by now."""
    (watched,) = deaths.living()
    sleeper.communicate()
    assert Sampler(5, lambda: 1e9).lines([watched]) == []


def test_a_sampler_has_an_interval():
    """Due after it, and again after it; never when it is 0."""
    clock = [0.0]
    sampler = Sampler(5, lambda: clock[0])
    assert not sampler.is_due()
    clock[0] = 5.0
    assert sampler.is_due()
    sampler.lines([])
    assert not sampler.is_due()
    assert not Sampler(0, lambda: 1e9).is_due()


def test_a_slow_pass_makes_passes_rare():
    """Where looking takes 0.1 s of CPU time, we look every 40 s: never more than one part in 400 of a core."""
    clock, spent = [10.0], [1.0, 1.1]
    sampler = Sampler(5, lambda: clock[0], lambda: spent.pop(0))
    sampler.lines([])
    clock[0] = 49.0
    assert not sampler.is_due()
    clock[0] = 51.0
    assert sampler.is_due()


@pytest.mark.parametrize("scope", ["inner", "part"])
def test_a_process_that_is_no_run_is_none(tmp_path, scope):
    """What it uses is not one run's among several, and the part of a run is counted by `rota exec`."""
    (tmp_path / "live").mkdir()
    Path(tmp_path, "live", f"{STEM}.logs.jsonl").write_bytes(state_line("running", scope=scope))
    assert run_of(Spool(str(tmp_path)), STEM) is None


def test_a_run_is_found_though_its_first_file_was_rotated(tmp_path):
    """An agent that starts later finds it in left/."""
    for name in ("live", "left"):
        (tmp_path / name).mkdir()
    Path(tmp_path, "left", f"{STEM}.1.logs.jsonl").write_bytes(state_line("running"))
    Path(tmp_path, "live", f"{STEM}.logs.jsonl").write_bytes(b"{}\n")
    found = run_of(Spool(str(tmp_path)), STEM)
    assert found is not None
    assert found.run_id == RUN_ID


def test_totals_never_fall():
    """The time of a process that nobody waited for is gone with it; memory is what it is now."""
    first = usage_of([process(1, 5.0, 100), process(2, 3.0, 100)], S, None)
    second = usage_of([process(1, 5.5, 100)], 2 * S, first)
    assert (second.user_seconds, second.resident_bytes, second.processes) == (8.0, 100, 1)
    assert second.read_bytes is None


def test_utilisation_is_a_share_of_the_usable_processors():
    """As OpenTelemetry defines it: time used, by time passed, by processors."""
    first = usage_of([process(1, 5.0)], S, None)
    second = usage_of([process(1, 6.0)], 3 * S, first)
    (text,) = [metric for metric in metrics_of(second, first, 0, 2) if "utilization" in metric]
    assert json.loads(text)["gauge"]["dataPoints"][0]["asDouble"] == 0.25


@pytest.mark.parametrize(("given", "expected"), [("", 5.0), ("2.5", 2.5), ("off", 0.0), ("0", 0.0), ("-1", 0.0), ("nan", 0.0)])
def test_the_interval_is_a_setting(monkeypatch, given, expected):
    """Off, and anything that is no number of seconds, is never."""
    monkeypatch.setenv("ROTA_SAMPLE_SECONDS", given)
    assert interval_seconds() == expected


@pytest.fixture
def server(monkeypatch) -> Iterator[Receiver]:
    """A receiver that says it is rota, to which everything goes."""
    with receiver() as running:
        monkeypatch.setenv("ROTA_ENDPOINT", running.url)
        yield running


def test_samples_are_delivered_in_order_a_request_each(server):
    """So that one that is sent twice is the same to a byte, and dropped by the collector."""
    queue = Samples(Shipper(), pytest.fail)
    queue.add([b'{"resourceMetrics":[1]}\n', b'{"resourceMetrics":[2]}\n'])
    queue.ship()
    queue.ship()
    assert [body for _, body, _ in server.requests] == [b'{"resourceMetrics":[1]}\n', b'{"resourceMetrics":[2]}\n']


def test_samples_that_are_not_taken_hold_up_nothing(server):
    """`ship` says so and returns; it tries again when some time has passed."""
    said, clock = list[str](), [0.0]
    queue = Samples(Shipper(), said.append, lambda: clock[0])
    server.answer = lambda path, body: Reply(503)
    queue.add([LINE])
    queue.ship()
    asked = len(server.requests)
    queue.ship()
    assert len(server.requests) == asked
    assert len(said) == 1
    server.answer, clock[0] = (lambda path, body: Reply()), 1000.0
    queue.ship()
    assert [body for _, body in server.delivered] == [LINE]


def test_samples_that_are_refused_are_dropped(server):
    """The next one has its turn."""
    said = list[str]()
    queue = Samples(Shipper(), said.append)
    server.answer = lambda path, body: Reply(400 if b"bad" in body else 200)
    queue.add([b'{"resourceMetrics":["bad"]}\n', LINE])
    queue.ship()
    assert [body for _, body in server.delivered] == [LINE]
    assert (queue.dropped, said) == (1, ["the server refuses samples"])


def test_the_oldest_samples_go_when_there_are_too_many(server, monkeypatch):
    """Memory is bounded however long the collector is away, and what went is counted."""
    monkeypatch.setattr(samples_module, "_MOST_BYTES", 50)
    queue = Samples(Shipper(), pytest.fail)
    queue.add([b'{"resourceMetrics":[%d]}\n' % n for n in range(5)])
    queue.ship()
    assert [body for _, body in server.delivered] == [b'{"resourceMetrics":[3]}\n', b'{"resourceMetrics":[4]}\n']
    assert queue.dropped == 3
