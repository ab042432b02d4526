"""kill -9 at every step of forwarding: the backend gets everything, in order, and twice only what was under way."""

from __future__ import annotations

import gzip
import json
import random
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import otlp
import pytest
from collectors import clean_environment
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from otlp_receiver import Receiver, Reply, receiver

from rota_collector.clock import SystemClock
from rota_collector.journal import Journal, Signal

PROGRAM = Path(__file__).parents[1] / "forward_program.py"
COUNT = 12  # log records; each is a request in the journal, and several are one request to the backend
SAMPLE = 5


def start(folder: Path, backend: Receiver, kill_at: int = 0) -> subprocess.CompletedProcess[str]:
    """Forward until all is there, or the program is killed."""
    command = [sys.executable, str(PROGRAM), str(folder), backend.url, str(kill_at)]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)


def fill(folder: Path) -> None:
    """A journal to forward."""
    journal = Journal(folder / "journal", clock=SystemClock())
    for n in range(COUNT):
        journal.append_blocking(Signal.LOGS_JSON, json.dumps(otlp.logs([otlp.log(0, str(n))])).encode())
    journal.close()


def batches(backend: Receiver) -> list[list[int]]:
    """The numbers of the log records, request by request."""
    found = [ExportLogsServiceRequest.FromString(gzip.decompress(body)) for _, body in backend.delivered]
    return [
        [int(log.body.string_value) for part in request.resource_logs for scope in part.scope_logs for log in scope.log_records]
        for request in found
    ]


def kill_and_check(folder: Path, kill_at: int) -> bool:
    """Kill the program at a step, start it again, and check what came. False: it ended before that step."""
    fill(folder)
    with receiver() as backend:
        backend.answer = lambda path, body: Reply(is_rota=False, body=b"")
        killed = start(folder, backend, kill_at)
        assert killed.returncode in (0, -signal.SIGKILL), killed.stderr
        again = start(folder, backend)
        assert again.returncode == 0, again.stderr
        came = batches(backend)
    twice = [later for earlier, later in pairwise(came) if earlier == later]
    assert len(twice) <= 1, f"killed at step {kill_at}: one request is under way at a time"
    once = [numbers for numbers, earlier in zip(came, [None, *came], strict=False) if numbers != earlier]
    assert [number for numbers in once for number in numbers] == [*range(COUNT)], f"killed at step {kill_at}: {came}"
    return killed.returncode != 0


def test_forwarding_survives_a_kill_at_some_steps(tmp_path: Path) -> None:
    """Steps drawn from all that there are."""
    fill(tmp_path / "whole")
    with receiver() as backend:
        backend.answer = lambda path, body: Reply(is_rota=False, body=b"")
        steps = int(start(tmp_path / "whole", backend).stdout)
    for kill_at in random.Random(27).sample(range(1, steps), SAMPLE):
        kill_and_check(tmp_path / str(kill_at), kill_at)


@pytest.mark.soak
def test_forwarding_survives_a_kill_at_every_step(tmp_path: Path) -> None:
    """From the first step on, until the program ends before it is killed."""
    kill_at = 1
    while kill_and_check(tmp_path / str(kill_at), kill_at):
        kill_at += 1
    assert kill_at > 100
