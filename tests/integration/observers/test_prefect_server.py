"""Prefect's server as it is asked, the words of Prefect itself, and a task of Prefect's that waits for rota's gates."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from collectors import CollectorProcess, clean_environment
from orchestrators import SOURCES, python_of
from standins.serving import Answering, serving

from rota_integrations.following import Later
from rota_integrations.prefect.server import Server, headers_of


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that says always the same: its address, and the headers of what it was asked."""
    asked: list[dict[str, str]] = []

    class Handler(Answering):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            self.answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})

    with serving(Handler) as url:
        yield url + "/api", asked


def test_who_asks_is_said_as_prefect_s_client_does() -> None:
    """By key, or by the password of a server of one's own."""
    with answering(200, b"[]") as (url, asked):
        Server(url, headers_of({"PREFECT_API_KEY": "pnu_1"})).ask("/x")
        Server(url, headers_of({"PREFECT_API_AUTH_STRING": "admin:pass"})).ask("/x")
    assert [each["Authorization"] for each in asked] == ["Bearer pnu_1", "Basic YWRtaW46cGFzcw=="]


def test_a_server_without_time_is_left_alone_as_long_as_it_asks() -> None:
    """429 with Retry-After."""
    with answering(429, b"", Retry_After="7") as (url, _), pytest.raises(Later) as raised:
        Server(url, {}).ask("/x")
    assert raised.value.seconds == 7


@pytest.mark.parametrize(("status", "said"), [(401, "/api/x answers 401 Unauthorized"), (200, "Is it the API's address")])
def test_a_server_that_is_not_ours_to_ask_says_so(status: int, said: str) -> None:
    """With the address, and what to set."""
    with answering(status, b"<html>") as (url, _), pytest.raises((OSError, ValueError), match=said):
        Server(url, {}).ask("/x")


def test_every_state_of_prefect_s_is_in_the_table() -> None:
    """Its types, and the names that it gives itself."""
    program = """
import json, inspect, prefect.states as states
from prefect.client.schemas.objects import StateType
names = "Late AwaitingRetry AwaitingConcurrencySlot Suspended Retrying Submitting InfrastructurePending".split()
assert all(hasattr(states, name) for name in names)
print(json.dumps([*(each.value for each in StateType), *names]))
"""
    done = subprocess.run([python_of("prefect"), "-c", program], capture_output=True, text=True, check=True)
    table = json.loads((Path(__file__).parents[3] / "integrations/rota_integrations/prefect/states.json").read_text())
    assert set(json.loads(done.stdout)) <= set(table["run"])


GATE = """
import sys
from rota_integrations.prefect.gates import NotPermitted, wait_for_rota
try:
    print(wait_for_rota.fn(sys.argv[1]))
except NotPermitted as error:
    print(error)
"""


def test_a_task_waits_for_a_gate_of_rota_s(shared_collector: CollectorProcess, tmp_path: Path) -> None:
    """It succeeds when the gate is open, and fails with what the gate says when it is not."""
    where = {"ROTA_ENDPOINT": shared_collector.url, "ROTA_HOME": str(tmp_path / "home"), "PYTHONPATH": SOURCES}

    def asked(workflow: str) -> str:
        command = [python_of("prefect"), "-c", GATE, workflow]
        return subprocess.run(command, env=clean_environment(**where), capture_output=True, text=True, check=True).stdout

    shared_collector.put("/api/v1/workflows/free.flow/policy", {"gates": [{"kind": "concurrency", "limit": 1}]})
    shared_collector.put("/api/v1/workflows/held.flow/policy", {"gates": [{"kind": "upstream", "workflow": "never.ran"}]})
    assert asked("free.flow") == "go\n"
    assert asked("held.flow").startswith("held.flow may not run (")
