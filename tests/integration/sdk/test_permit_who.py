"""Who answers a task that asks: an agent, the collector, nobody; in threads, forks and worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
from permissions import DENY, GO, PERMIT, agent_socket, collector, decisions, told, write_policy
from scripts import Outcome, run_script

Run = Callable[..., Outcome]


def test_without_an_agent_the_collector_is_asked(run: Run, home: Path) -> None:
    """Over one kept connection, each question with a key of its own; what its gates say it has written down itself."""
    write_policy(home, "job", {"load": PERMIT, "slow": PERMIT})
    with collector(lambda question: {"answer": "go", "kind": "rule" if question["task"] == "slow" else None}) as server:
        outcome = run("""
            import asyncio
            import rota
            rota.watch()
            def load(): return 1
            async def slow(): return 2
            assert [load(), load(), asyncio.run(slow())] == [1, 1, 2]
        """, environment={"ROTA_ENDPOINT": server.address})  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    assert server.tasks == ["load", "load", "slow"]
    assert len(set(server.keys)) == 3
    assert "home" not in server.questions[0]
    assert told(server.events) == [("load", "go", "collector")]


@pytest.mark.parametrize(
    "said", [{"answer": "perhaps"}, {"answer": None, "reason": "the collector is away"}, {}, {"reason": "x"}]
)
def test_an_answer_that_is_none_is_as_if_nobody_answered(home: Path, said: dict[str, Any]) -> None:
    """Only go, wait, skip and deny count."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket(lambda _: said) as agent:
        source = "import rota\nrota.watch()\ndef load(): print('ran')\nload()\n"
        outcome = run_script(source, home, environment={"ROTA_AGENT": agent.address})
    assert (outcome.stdout, decisions(outcome)) == (b"ran\n", [("load", "go", "sdk")])


def test_an_agent_that_says_nothing_is_waited_for_once(home: Path) -> None:
    """A thousand calls do not wait a thousand times for nobody."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket(lambda _: None) as agent:
        source = "import rota\nrota.watch()\ndef load(): pass\nfor _ in range(1000): load()\n"
        outcome = run_script(source, home, environment={"ROTA_AGENT": agent.address})
    assert outcome.code == 0, outcome.stderr.decode()
    assert agent.tasks == ["load"]
    assert decisions(outcome) == [("load", "go", "sdk")]


def test_an_agent_that_says_nothing_holds_a_coroutine_no_longer_than_others(run: Run, home: Path) -> None:
    """It is as if nobody answered, and the loop has gone on meanwhile."""
    write_policy(home, "job", {"slow": PERMIT})
    with agent_socket(lambda _: None) as agent:
        outcome = run("""
            import asyncio
            import rota
            rota.watch()
            async def slow(): return 1
            async def main():
                other = asyncio.ensure_future(slow())
                await asyncio.sleep(0)
                assert not other.done()
                assert await other == await slow() == 1
            asyncio.run(main())
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    assert (agent.tasks, decisions(outcome)) == (["slow"], [("slow", "go", "sdk")])


def test_threads_and_forked_children_ask_for_themselves(run: Run, home: Path) -> None:
    """Each thread has a connection while it asks, and a child makes its own: no answer goes to another."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket(lambda question: {**GO, "reason": question["task"]}) as agent:
        outcome = run("""
            import os, threading
            import rota
            rota.watch()
            def load(n): return n
            got = []
            threads = [threading.Thread(target=lambda n=n: got.extend(load(n) for _ in range(50))) for n in range(4)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            assert sorted(got) == sorted(list(range(4)) * 50)
            child = os.fork()
            if child == 0:
                os._exit(load(7))
            assert load(1) == 1 and os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 7
        """, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    assert agent.tasks == ["load"] * 202


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_functions_ask_in_worker_processes_too(run: Run, home: Path, method: str) -> None:
    """A pool of multiprocessing finds the function by its name, and a denial comes back to who waits for the result."""
    write_policy(home, "job", {"load": PERMIT, "refused": PERMIT})
    with agent_socket(lambda question: DENY if question["task"] == "refused" else GO) as agent:
        outcome = run("""
            import multiprocessing
            import rota
            rota.watch()
            def load(n): return n + 1
            def refused(n): return n
            if __name__ == "__main__":
                with multiprocessing.get_context("%s").Pool(1) as pool:
                    assert pool.map(load, [1, 2]) == [2, 3]
                    try:
                        pool.map(refused, [1])
                    except rota.GateDenied as denied:
                        print(denied.reason)
        """ % method, environment={"ROTA_AGENT": agent.address})  # fmt: skip
    assert (outcome.code, outcome.stdout) == (0, b"no rows\n"), outcome.stderr.decode()
    assert sorted(agent.tasks) == ["load", "load", "refused"]


def test_a_program_that_closes_all_descriptors_asks_over_a_new_connection(run: Run, home: Path) -> None:
    """The number may be a file of its own by then: nothing of ours is written there."""
    write_policy(home, "job", {"load": PERMIT})
    with agent_socket() as agent:
        outcome = run("""
            import os, tempfile
            import rota
            rota.watch()
            def load(): return 1
            load()
            os.closerange(3, 64)
            mine = [tempfile.TemporaryFile() for n in range(8)]
            assert load() == 1
            for file in mine:
                assert os.fstat(file.fileno()).st_size == 0
        """, environment={"ROTA_AGENT": agent.address}, )  # fmt: skip
    assert outcome.code == 0, outcome.stderr.decode()
    assert agent.tasks == ["load", "load"]


def test_connections_are_closed_before_anybody_warns_of_them(run: Run, home: Path) -> None:
    """A script in development mode prints nothing of ours, whoever answered."""
    write_policy(home, "job", {"load": PERMIT})
    source = "import rota\nrota.watch()\ndef load(): pass\nload()\n"
    with agent_socket() as agent:
        asked_agent = run(source, flags=("-X", "dev"), environment={"ROTA_AGENT": agent.address})
    with collector() as server:
        asked_collector = run(source, flags=("-X", "dev"), environment={"ROTA_ENDPOINT": server.address})
    assert asked_agent.stderr + asked_collector.stderr == b""
    assert agent.tasks == server.tasks == ["load"]
