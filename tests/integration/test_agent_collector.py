"""The agent and a real collector: what is in DuckDB in the end."""

from __future__ import annotations

import contextlib
import os
import random
import time

import pytest
from agents import agent, run, waiting
from servers import clean_environment, poll

from rota.wire import names

WITNESS = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux: no pidfd, no witness")


@pytest.fixture
def environment(tmp_path, collector) -> dict[str, str]:
    """A home of its own, and that collector."""
    settings = {"ROTA_ENDPOINT": collector.url, "ROTA_DETACH": "off"}
    return clean_environment(tmp_path / "agent home", **settings)


def rows(collector, query: str) -> list[dict[str, object]]:
    """What SQL finds."""
    return collector.post("/api/v1/sql", {"query": query}).json()["items"]


def test_a_heartbeat_is_kept(collector, environment, tmp_path):
    """With its host, as any other metric."""
    query = f"SELECT service, host, unit FROM metrics WHERE name = '{names.AGENT_UPTIME}'"
    with agent(environment, tmp_path / "agent.log"):
        found = poll(lambda: rows(collector, query), "no heartbeat arrives")
    assert found[0] == {"service": "rota-agent", "host": os.uname().nodename, "unit": "s"}
    query = f"SELECT count(*) AS n FROM metrics WHERE name = '{names.AGENT_UPTIME}' AND (point->>'flags') = '1'"
    collector.applied()
    assert rows(collector, query) == [{"n": 1}]  # it was stopped


@WITNESS
def test_an_agent_killed_again_and_again_loses_and_doubles_nothing(collector, environment, tmp_path):
    """While scripts run, end, are killed, and while their facts are on their way: each run is there, with each event once."""
    log, seed = tmp_path / "agent.log", random.randrange(1_000_000)
    print("seed", seed)
    chance = random.Random(seed)
    with contextlib.ExitStack() as scripts:
        killed = [scripts.enter_context(waiting(environment)) for _ in range(6)]
        for victim in killed:
            with agent(environment, log) as process:
                for _ in range(2):
                    run("with rota.task('load'): pass\nsys.exit(3)", environment)
                victim.kill()
                victim.wait()
                time.sleep(chance.uniform(0, 0.3))
                process.kill()
                process.wait()
        with agent(environment, log):
            poll(lambda: len([each for each in collector.all_runs() if each["ended_at"]]) == 18, "a run is missing", log)
    collector.applied()
    assert sorted(each["state"] for each in collector.all_runs()) == ["crashed"] * 6 + ["failed"] * 12
    events = rows(collector, "SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM run_events")[0]
    spans = rows(collector, "SELECT count(*) AS n, count(DISTINCT span_id) AS d FROM spans WHERE name = 'load'")[0]
    assert (events["n"], spans) == (events["d"], {"n": 12, "d": 12})
