"""Workflows of different systems in one graph: a cron job, then a DAG, then a dbt run; expected, missed, and waited for."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from collectors import clean_environment, until

from rota.agent import policies

TELL = """
import json, sys, time
from rota.foreign import Source
for system, workflow, key, state, declared in json.load(sys.stdin):
    now = time.time_ns()
    source = Source(system)
    source.run(workflow, key, state, now, started_ns=now, declared=declared)
    source.flush()
"""
ASK = "import sys; from rota.foreign import may_run; print(*may_run(sys.argv[1], float(sys.argv[2]))[:2])"


class Host:
    """A home whose programs tell a collector."""

    def __init__(self, home, collector):
        self.home, self.collector = home, collector
        home.mkdir()

    def does(self, *words, stdin="", **settings):
        """Run one command to its end, and ship what it left."""
        environment = clean_environment(
            **{"ROTA_ENDPOINT": self.collector.url, "ROTA_HOME": str(self.home), "ROTA_DETACH": "off", **settings}
        )
        done = subprocess.run([sys.executable, *words], env=environment, input=stdin, capture_output=True, text=True, check=False)
        subprocess.run([sys.executable, "-m", "rota", "agent", "--once"], env=environment, check=True, capture_output=True)
        return done

    def tells(self, *runs):
        """What an observer tells: (system, workflow, key, state, declared)."""
        assert self.does("-c", TELL, stdin=json.dumps([(*run, None)[:5] for run in runs])).stderr == ""

    def policy(self, workflow, **document):
        """Store it."""
        self.collector.put(f"/api/v1/workflows/{workflow}/policy", document)

    def verdicts(self, workflow):
        """What became of its slots, the oldest first; None is still open."""
        slots = self.collector.item("/slots", workflow=workflow)["items"]
        return [slot["verdict"] for slot in sorted(slots, key=lambda slot: slot["due_at"])]


@pytest.fixture
def host(shared_collector, tmp_path):
    """One that has nothing yet."""
    return Host(tmp_path / "home", shared_collector)


def test_a_schedule_that_another_system_has_makes_slots_that_are_missed(host):
    """Its scheduler may be down: rota says so although the orchestrator cannot."""
    declared = {"rota.schedule.spec": "every 2s", "rota.schedule.grace": "1s"}
    host.tells(("airflow", "shop.orders", ["shop.orders", "scheduled__1"], "succeeded", declared))
    until(lambda: "missed" in host.verdicts("shop.orders"), "a slot to be missed")
    incidents = host.collector.item("/incidents", workflow="shop.orders")["items"]
    assert "missed" in {incident["kind"] for incident in incidents}
    host.policy("shop.orders", schedule=None)


SCHEDULE = """
import sys, time
from rota.foreign import Source
source = Source("airflow")
source.schedule("shop.never", dict(pair.split("=") for pair in sys.argv[1:]), time.time_ns())
source.flush()
"""


def test_a_workflow_that_has_never_run_is_missed_until_its_system_takes_the_schedule_back(host):
    """It is listed from the first word on, and says who scheduled it."""
    assert host.does("-c", SCHEDULE, "rota.schedule.spec=every 2s", "rota.schedule.grace=1s").stderr == ""
    until(lambda: "missed" in host.verdicts("shop.never"), "a slot to be missed")
    policy = host.collector.item("/workflows/shop.never/policy")
    assert policy["policy"]["schedule"]["every"] == "2s"
    assert host.collector.item("/runs", workflow="shop.never")["items"] == []
    host.does("-c", SCHEDULE)
    until(lambda: host.collector.item("/workflows/shop.never/policy")["policy"] == {}, "the schedule to be taken back")
    until(lambda: None not in host.verdicts("shop.never"), "nothing to be waited for")


def test_one_graph_goes_through_three_systems(host):
    """dbt after Airflow after cron: each success makes the next one's slot."""
    host.policy("graph.dag", schedule={"after": {"workflow": "graph.cron", "within": "1h"}})
    host.policy("graph.dbt", schedule={"after": {"workflow": "graph.dag", "within": "1s"}})
    assert host.does("-m", "rota", "exec", "--name", "graph.cron", "--", "true").returncode == 0
    until(lambda: host.verdicts("graph.dag") == [None], "the DAG to be due")
    assert host.verdicts("graph.dbt") == []
    host.tells(("airflow", "graph.dag", ["graph.dag", "manual__1"], "succeeded"))
    until(lambda: host.verdicts("graph.dag") == ["on_time"], "the DAG to fill its slot")
    until(lambda: host.verdicts("graph.dbt") == ["missed"], "dbt to be missed")


def test_a_task_of_one_system_waits_for_a_run_of_another(host):
    """Nothing but the policy says so: who waits asks for its own workflow."""
    host.policy("waiting.dbt", gates=[{"kind": "upstream", "workflow": "waiting.dag"}])
    host.tells(("prefect", "waiting.dag", ["waiting", "1"], "failed"))
    asked = host.does("-c", ASK, "waiting.dbt", "0").stdout
    assert asked.startswith("wait ")
    assert "waiting.dag" in asked
    began = time.monotonic()
    waiting = subprocess.Popen(
        [sys.executable, "-c", ASK, "waiting.dbt", "60"],
        env=clean_environment(ROTA_ENDPOINT=host.collector.url, ROTA_HOME=str(host.home)), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    host.tells(("prefect", "waiting.dag", ["waiting", "2"], "succeeded"))
    assert waiting.communicate(timeout=90)[0].startswith("go ")
    assert time.monotonic() - began < 60, "it was held until its time was up"


@pytest.mark.parametrize(("says", "answer"), [("go", "go"), ("deny", "deny")])
def test_when_nobody_answers_the_policy_that_this_host_knows_says_what_holds(host, says, answer):
    """As for a run of ours."""
    host.policy(f"blind.{says}", gates=[{"kind": "concurrency", "limit": 1, "on_unreachable": says}])
    found = host.collector.item("/policies/asking")
    policies.write(str(host.home), found["version"], found["items"])
    assert host.does("-c", ASK, f"blind.{says}", "0", ROTA_ENDPOINT="http://127.0.0.1:9").stdout.startswith(answer)


def test_who_knows_no_policy_says_what_to_do(host):
    """With where the collector was looked for."""
    asked = host.does("-c", ASK, "nobody.knows", "0", ROTA_ENDPOINT="http://127.0.0.1:9")
    assert "CollectorError: cannot reach the collector at http://127.0.0.1:9" in asked.stderr
