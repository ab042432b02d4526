"""What a function costs that something decides about, beside what orchestrators take for theirs; and what a run of nothing takes.

A call is measured from the function's body to the body of the next call, which is the same for everybody.
"""

from __future__ import annotations

import functools
import json
import statistics
import subprocess
from pathlib import Path

from bench import environments, orchestrators, processes, servers
from bench.figures import Figure, in_turn, share
from bench.permission import put
from bench.startup import PROGRAMS

_ROUNDS, _RUNS = 5, 10
_CALLS = {"rota": 5000, "prefect": 200, "dagster": 50, "dbos": 500, "temporal": 100}
_PLAIN, _OURS, _OUR_RUN = "the function called", "rota, permitted by the agent", "rota exec -- true, gated"
_TASKS, _GATED, _FREE = "rota_tasks", "bench.gated", "bench.free"
_POLICIES = {
    _TASKS: {"tasks": {"each": {"permit": True}}},
    _GATED: {"gates": [{"kind": "concurrency", "limit": 1}]},
}


class Ours:
    """rota with a collector and an agent that has heard of the policies."""

    def __init__(self, work: Path, collector: servers.Collector, socket: str) -> None:
        self.python = environments.rota()
        self.rota = str(Path(self.python).with_name("rota"))
        at = {"ROTA_ENDPOINT": collector.url, "ROTA_DETACH": "off"}
        self.told = processes.environment(work / "client", ROTA_AGENT=socket, **at)
        self.gated = 0  # runs
        self.alone = processes.environment(work / "alone", ROTA_AGENT="off", **at)

    def tasks(self, settings: dict[str, str], calls: int = _CALLS["rota"]) -> list[float]:
        """Microseconds of each call."""
        return _microseconds([self.python, str(PROGRAMS / f"{_TASKS}.py"), str(calls)], settings)

    def run(self, workflow: str) -> float:
        """Milliseconds of ``rota exec -- true``."""
        self.gated += workflow == _GATED
        command = [self.rota, "exec", "--name", workflow, "--", "true"]
        return processes.seconds(command, self.told) * 1000


def measure(effort: float) -> list[Figure]:
    """Our own; then each peer in turn with us, and its server only meanwhile."""
    rounds, runs = share(_ROUNDS, effort), share(_RUNS, effort)
    with processes.scratch() as work, servers.collector(work / "server") as collector:
        for workflow, document in _POLICIES.items():
            put(collector, f"/api/v1/workflows/{workflow}/policy", document)
        with servers.agent(work / "client", collector.url) as socket:
            ours = Ours(work, collector, socket)
            _policies_come(work / "client")
            _copy_policies(work / "client", work / "alone")
            figures = [*_tasks(ours, rounds), *_runs(ours, runs)]
            for name in environments.ORCHESTRATORS:
                figures += _peer(name, ours, work, rounds, runs)
            _all_were_asked(collector, ours.gated)
    return figures


def _tasks(ours: Ours, rounds: int) -> list[Figure]:
    plain = [ours.python, str(PROGRAMS / "plain_tasks.py"), str(_CALLS["rota"])]
    taken = [
        (_microseconds(plain, ours.told), ours.tasks(ours.told), ours.tasks(ours.alone, _CALLS["rota"] // 10))
        for _ in range(rounds)
    ]
    bare, told, alone = (tuple(map(_p50, each)) for each in zip(*taken, strict=True))
    note = f"{_CALLS['rota']:,} calls in one run; an unmodified function; its span in the spool"
    p99 = tuple(_p99(told) for _, told, _ in taken)
    return [
        Figure("a task, p50", "rota", "µs", told, _PLAIN, bare, budget="permission.p50", is_goal_compared=False, note=note),
        Figure("a task, p99", "rota", "µs", p99, _PLAIN, tuple(_p99(bare) for bare, _, _ in taken), note=note),
        Figure("a task, p50, no agent", "rota", "µs", alone, _PLAIN, bare, note="the collector is asked for each call"),
    ]


def _runs(ours: Ours, runs: int) -> list[Figure]:
    base = functools.partial(_milliseconds, [ours.python, "-c", "pass"], ours.told)
    bare, free, gated = in_turn(runs, base, functools.partial(ours.run, _FREE), functools.partial(ours.run, _GATED))
    return [
        Figure("a run of nothing", "rota", "ms", free, "python -c pass", bare, note="rota exec -- true, no policy"),
        Figure("a run of nothing, gated", "rota", "ms", gated, "python -c pass", bare, note="one at a time; through the agent"),
    ]


def _peer(name: str, ours: Ours, work: Path, rounds: int, runs: int) -> list[Figure]:
    with orchestrators.up(name, work) as peer:
        _microseconds(peer.command(name, 2), peer.settings)  # its files, and the first use of its server
        pairs = [(ours.tasks(ours.told), _microseconds(peer.command(name, _CALLS[name]), peer.settings)) for _ in range(rounds)]
        run = functools.partial(_milliseconds, peer.command(name, 0), peer.settings)
        our_runs, their_runs = in_turn(runs, functools.partial(ours.run, _GATED), run)
    told, theirs = zip(*pairs, strict=True)
    note = f"{_CALLS[name]} calls in one run; {peer.note}"
    each = [
        Figure(f"a task, {which}", peer.shown, "µs", tuple(map(at, theirs)), _OURS, tuple(map(at, told)), "ratio", note=note)
        for which, at in (("p50", _p50), ("p99", _p99))
    ]
    return [*each, Figure("a run of nothing", peer.shown, "ms", their_runs, _OUR_RUN, our_runs, "ratio", note=peer.note)]


def _microseconds(command: list[str], settings: dict[str, str]) -> list[float]:
    """Of each call, from one body to the next. Raises RuntimeError when the program fails."""
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return sorted(ns / 1000 for ns in json.loads(done.stdout.splitlines()[-1]))


def _milliseconds(command: list[str], settings: dict[str, str]) -> float:
    return processes.seconds(command, settings) * 1000


def _p50(taken: list[float]) -> float:
    return statistics.median(taken)


def _p99(taken: list[float]) -> float:
    return taken[len(taken) * 99 // 100]


def _policies_come(home: Path) -> None:
    wanted = [home / "policy" / f"{workflow}.json" for workflow in _POLICIES]
    servers.wait_for(lambda: all(path.exists() for path in wanted), f"the agent brought no policies to {home}")


def _copy_policies(home: Path, to: Path) -> None:
    (to / "policy").mkdir(parents=True)
    for workflow in _POLICIES:
        (to / "policy" / f"{workflow}.json").write_bytes((home / "policy" / f"{workflow}.json").read_bytes())


def _all_were_asked(collector: servers.Collector, gated: int) -> None:
    """A gate that nobody asked would cost nothing. Raises RuntimeError."""
    asked = f"decisions WHERE workflow = '{_GATED}' AND answer = 'go' AND source = 'collector'"
    servers.wait_for(lambda: collector.count(asked) == gated, f"not each of {gated} gated runs is on record")
    if blind := collector.count("decisions WHERE source NOT IN ('collector', 'agent')"):
        raise RuntimeError(f"nobody answered {blind} questions: this would be the price of a policy that nobody asks about")
