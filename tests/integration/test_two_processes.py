"""Front and keeper: what each survives of the other."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import otlp
from collectors import until


def test_acknowledgements_go_on_without_the_keeper(new_collector):
    """While the keeper is stopped dead, requests are acknowledged; when it goes on, they are there."""
    collector = new_collector().start()
    (keeper,) = collector.keepers()
    os.kill(keeper, signal.SIGSTOP)
    try:
        collector.send(*otlp.whole_run(1))
    finally:
        os.kill(keeper, signal.SIGCONT)
    assert collector.applied().item(f"/runs/{otlp.run_id(1)}")["state"] == "succeeded"


def test_a_keeper_that_dies_is_started_again(new_collector):
    """The front keeps what comes meanwhile, answers API requests when the new keeper does, and says what happened."""
    collector = new_collector().start()
    collector.send(*otlp.whole_run(1))
    (keeper,) = collector.keepers()
    os.kill(keeper, signal.SIGKILL)
    collector.send(*otlp.whole_run(2))
    until(lambda: collector.keepers() and collector.keepers() != [keeper], "another keeper")
    assert {run["id"] for run in collector.applied().all_runs()} == {otlp.run_id(1), otlp.run_id(2)}
    assert "the process that keeps the stores ended (signal 9); starting it again" in collector.stderr
    assert collector.stop() == 0


def test_out_of_memory_the_keeper_goes_first(new_collector):
    """The kernel, which ends one process to save the others, is not to choose the one that receives."""
    collector = new_collector().start()
    (keeper,) = collector.keepers()

    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    assert score(keeper) == 200
    assert score(collector.process.pid) == score(os.getpid())


def test_the_keeper_goes_with_the_front(new_collector):
    """SIGKILL of the front leaves no process behind, and its home is free for the next."""
    collector = new_collector().start()
    collector.send(*otlp.whole_run(1))
    collector.kill()  # waits for the keeper's end
    assert collector.start().applied().item(f"/runs/{otlp.run_id(1)}")["state"] == "succeeded"


def test_a_signal_to_the_whole_group_stops_both_in_order(new_collector):
    """Ctrl-C reaches front and keeper alike: the keeper leaves it to the front, and everything is applied."""
    collector = new_collector().start()
    collector.send(*otlp.whole_run(1))
    for pid in (*collector.keepers(), collector.process.pid):
        os.kill(pid, signal.SIGINT)
    assert collector.process.wait(30) == 0
    assert sorted(path.name for path in collector.home.iterdir() if path.suffix == ".sock") == []
    assert collector.start().item("/runs")["items"][0]["id"] == otlp.run_id(1)


def test_a_keeper_that_cannot_start_is_the_collectors_failure(new_collector):
    """What it says is seen, and the exit status is 1."""
    collector = new_collector()
    (collector.home / "control.sqlite").mkdir(parents=True)
    process = collector.spawn()
    assert process.wait(30) == 1
    assert "cannot open" in collector.stderr


def test_an_answer_without_end_ends_with_its_listener(new_collector):
    """Requests are passed on as they are, and a client that goes away is not answered for ever."""
    collector = new_collector().start()
    host, port = collector.addresses["http"].rsplit(":", 1)
    for _ in range(20):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET /api/v1/runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert collector.get("/api/v1/runs").status_code == 200


def test_bodies_reach_the_api_as_they_were_sent(new_collector):
    """With a length or in chunks."""
    collector = new_collector().start()
    query = b'{"query": "SELECT 7 AS n"}'
    whole = collector._client.post(collector.url + "/api/v1/sql", content=query, headers={"content-type": "application/json"})
    chunks = collector._client.post(
        collector.url + "/api/v1/sql", content=iter((query[:5], query[5:])), headers={"content-type": "application/json"}
    )
    assert whole.json()["items"] == chunks.json()["items"] == [{"n": 7}]


def test_each_answer_has_one_date(shared_collector):
    """Both processes would tell it."""
    for answer in (
        shared_collector.get("/api/v1/runs"),
        shared_collector.post("/api/v1/permission", {"workflow": "dated", "run_id": "dated"}),
        shared_collector.get("/healthz"),
    ):
        assert len(answer.headers.get_list("date")) == 1


def test_a_home_with_a_long_path_works(new_collector, tmp_path):
    """Longer than the address of a unix socket may be."""
    collector = new_collector()
    collector.home = tmp_path / ("long" * 40)
    collector.settings["ROTA_HOME"] = str(collector.home)
    assert collector.start().get("/readyz").status_code == 200


def test_asking_waits_for_a_keeper_that_is_being_started(new_collector):
    """A request that comes while the keeper starts anew is answered by the new one, not refused."""
    collector = new_collector().start()
    os.kill(collector.keepers()[0], signal.SIGKILL)
    time.sleep(0.02)
    answers: list[int] = []
    asking = [threading.Thread(target=lambda: answers.append(collector.get("/healthz").status_code)) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert answers == [200] * 3
