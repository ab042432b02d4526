"""Many, slow, huge and twisted clients: those who behave go on being answered, and nothing of it ends the collector.

Some of each in `make test`; 10,000 connections, of which 9,000 never finish what they began to say, in `make soak`.
"""

from __future__ import annotations

import asyncio
import gzip
import json

import httpx
import otlp
import pytest
from collectors import CollectorProcess
from otlp_messages import span, traces

HALF_A_REQUEST = b"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
ONE_REQUEST = (
    b"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n"
    b"content-type: application/x-protobuf\r\ncontent-length: %d\r\n\r\n"
)
PATIENCE_SECONDS = 30


def post(collector: CollectorProcess, body: bytes, **headers: str) -> int:
    """The status of the answer to a JSON trace request."""
    sent = {"content-type": "application/json", **headers}
    return httpx.post(f"{collector.url}/v1/traces", content=body, headers=sent, trust_env=False, timeout=60).status_code


def test_a_bomb_is_refused(collector):
    """A gigabyte of zeros in a megabyte of gzip is answered 413, in members too, and costs no gigabyte."""
    million = gzip.compress(bytes(64 << 20))
    assert post(collector, gzip.compress(bytes(1 << 30), 1), **{"content-encoding": "gzip"}) == 413
    assert post(collector, million * 16, **{"content-encoding": "gzip"}) == 413
    assert collector.get("/readyz").status_code == 200
    assert peak_megabytes(collector) < 700


def peak_megabytes(collector: CollectorProcess) -> float:
    """The most memory that the process which receives ever had."""
    with open(f"/proc/{collector.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
def test_what_nests_too_deep_is_refused(shared_collector, depth):
    """Values in values in values are answered 400, however deep, and the next request 200."""
    value = '{"arrayValue":{"values":[' * depth + '{"intValue":"1"}' + "]}}" * depth
    span_with = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":%s}]}]}]}]}'
    body = span_with % value
    assert post(shared_collector, body.encode()) == 400
    assert post(shared_collector, json.dumps(otlp.spans([otlp.task(1, 1, "load")])).encode()) == 200


def test_two_collectors_do_not_share_a_home(new_collector):
    """The second says so and ends with status 1; the first goes on, and everything is there once."""
    first = new_collector().start()
    first.send(*otlp.whole_run(1))
    second = new_collector(home=first.home)
    assert second.spawn().wait(PATIENCE_SECONDS) == 1
    assert str(first.home) in second.stderr
    first.send(*otlp.whole_run(2))
    assert len(first.applied().all_runs()) == 2


async def crowd(collector: CollectorProcess, slow: int, honest: int) -> list[str]:
    """Honest requests, 20 at a time, each on its own connection, beside slow ones that stay; what the honest were answered."""
    host, _, port = collector.addresses["http"].rpartition(":")
    waiting, gate = [], asyncio.Semaphore(20)
    for begun in range(0, slow, 100):
        some = [asyncio.open_connection(host, int(port)) for _ in range(min(100, slow - begun))]
        for _, writer in (opened := await asyncio.gather(*some)):
            writer.write(HALF_A_REQUEST)
        waiting += opened

    async def ask(number: int) -> str:
        body = traces(span(number + 1)).SerializeToString()
        head = ONE_REQUEST % len(body)
        async with gate, asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(head + body)
            answer = await reader.read()
            writer.close()
        return answer.split(b"\r\n", 1)[0].decode()

    answers = await asyncio.gather(*map(ask, range(honest)))
    for _, writer in waiting:
        writer.transport.abort()
    return answers


@pytest.mark.parametrize("size", [(300, 100), pytest.param((9_000, 1_000), marks=pytest.mark.soak)], ids=str)
def test_slow_clients_keep_nobody_waiting(many_files, new_collector, size):
    """Thousands of clients that never finish a request: every honest one is acknowledged, and all of it can be read."""
    slow, honest = size
    collector = new_collector().start()
    assert set(asyncio.run(crowd(collector, slow, honest))) == {"HTTP/1.1 200 OK"}
    collector.applied()
    (row,) = collector.post("/api/v1/sql", {"query": "SELECT count(DISTINCT span_id) AS n FROM spans"}).json()["items"]
    assert row["n"] == honest
