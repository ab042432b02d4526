"""Kill a collector with SIGKILL at random moments of a stream of runs, and see what is left of what it acknowledged."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import httpx
import otlp
from collectors import CollectorProcess, until

_ENDS = ("succeeded", "failed", "crashed", "cancelled")
_BATCH = 4  # records in one request


def end_of(n: int) -> str:
    """How run ``n`` ends."""
    return _ENDS[n % len(_ENDS)]


def requests(runs: int, chance: random.Random) -> Iterator[tuple[str, otlp.Record]]:
    """(path, content): starts and ends of all runs, a little out of order, and each run's task."""
    records = [(n + chance.random() * 20, record) for n in range(runs) for record in otlp.whole_run(n, end_of(n))]
    in_order = [record for _, record in sorted(records, key=lambda each: each[0])]
    for start in range(0, len(in_order), _BATCH):
        yield "/v1/logs", otlp.logs(in_order[start : start + _BATCH])
        tasks = range(start // 2, min(runs, (start + _BATCH) // 2))
        yield "/v1/traces", otlp.spans([otlp.task(n, 1, "load") for n in tasks])


class Campaign:
    """One stream against a collector that keeps being killed."""

    def __init__(self, collector: CollectorProcess, runs: int, kills: int, seed: int) -> None:
        self.collector, self.runs, self.kills = collector, runs, kills
        self.retried = 0
        self._chance = random.Random(seed)
        self._done = threading.Event()
        self._killed_enough = threading.Event()

    def play(self) -> None:
        """Deliver everything, as an exporter does: a request is sent again until it is acknowledged."""
        self.collector.start()
        self.collector.settings["ROTA_HTTP"] = self.collector.addresses["http"]  # the same port again after each kill
        killer = threading.Thread(target=self._kill_now_and_then)
        killer.start()
        try:
            self._deliver()
        finally:
            self._done.set()
            killer.join()
        if self.collector.process is None or self.collector.process.poll() is not None:
            self.collector.start()

    def _deliver(self) -> None:
        stream = list(requests(self.runs, self._chance))
        with httpx.Client(base_url=self.collector.url, trust_env=False, timeout=5) as client:
            for sent, (path, content) in enumerate(stream):
                until(lambda path=path, content=content: self._acknowledged(client, path, content), "an acknowledgement")
                if sent == len(stream) - 2:  # the last requests wait for the last kill
                    self._killed_enough.wait(120)

    def _acknowledged(self, client: httpx.Client, path: str, content: otlp.Record) -> bool:
        try:
            answer = client.post(path, json=content)
        except httpx.TransportError:
            self.retried += 1
            return False
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    def _kill_now_and_then(self) -> None:
        chance = random.Random(self._chance.random())
        for _ in range(self.kills):
            self._done.wait(chance.uniform(0.0, 0.6))
            self.collector.kill()
            process = self.collector.spawn()
            if chance.random() < 0.3:  # also while it starts
                self._done.wait(chance.uniform(0.0, 1.5))
                continue
            until(lambda process=process: self.collector.listens(process), "the collector to come back")
        self._killed_enough.set()

    def check(self) -> None:
        """Every run is there once, as it ended, in both stores."""
        found = self.collector.applied().all_runs()
        assert len(found) == len({run["id"] for run in found}) == self.runs
        assert {run["id"]: run["state"] for run in found} == {otlp.run_id(n): end_of(n) for n in range(self.runs)}
        assert all(run["duration_seconds"] == 0.5 for run in found)
        assert self._counts("run_events", "event_id") == [2 * self.runs] * 2
        assert self._counts("spans", "span_id") == [self.runs] * 2

    def _counts(self, table: str, key: str) -> list[int]:
        query = {"query": f"SELECT count(*) AS all_rows, count(DISTINCT {key}) AS distinct_rows FROM {table}"}
        (row,) = self.collector.post("/api/v1/sql", query).json()["items"]
        return [row["all_rows"], row["distinct_rows"]]
