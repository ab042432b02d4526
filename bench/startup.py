"""What two lines cost a script whose facts are delivered: import, watch and exit, over the bare interpreter."""

from __future__ import annotations

import functools
from pathlib import Path

from bench import environments, processes, servers
from bench.figures import Figure, in_turn, share

PROGRAMS = Path(__file__).parent / "programs"
BARE = "bare interpreter"
_PEER_ROUNDS, _ROTA_ROUNDS = 20, 80


def measure(effort: float) -> list[Figure]:
    """rota to a collector and to an agent; each peer to a server that answers at once."""
    return [*_rota(share(_ROTA_ROUNDS, effort)), *_peers(share(_PEER_ROUNDS, effort))]


def milliseconds(python: str, program: str, settings: dict[str, str]) -> float:
    """How long one of the programs takes."""
    return processes.seconds([python, str(PROGRAMS / f"{program}.py")], settings) * 1000


def peer_settings(name: str, port: int) -> dict[str, str]:
    """What sends a peer's telemetry to that port."""
    if name == "sentry":
        return {"SENTRY_DSN": f"http://key@127.0.0.1:{port}/1"}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}


def _rota(rounds: int) -> list[Figure]:
    python = environments.rota()
    with processes.scratch() as work, servers.collector(work / "server") as collector:
        home = work / "client"
        with servers.agent(home, collector.url) as socket:
            plain = processes.environment(home)
            direct = plain | {"ROTA_AGENT": "off", "ROTA_ENDPOINT": collector.url, "ROTA_WORKFLOW": "bench.direct"}
            told = plain | {"ROTA_AGENT": socket, "ROTA_ENDPOINT": collector.url, "ROTA_WORKFLOW": "bench.agent"}
            bare, to_collector, to_agent = in_turn(
                rounds,
                functools.partial(milliseconds, python, "bare", plain),
                functools.partial(milliseconds, python, "rota_run", direct),
                functools.partial(milliseconds, python, "rota_run", told),
            )
            for workflow in ("bench.direct", "bench.agent"):
                _has_all(collector, workflow, rounds + 1)
    note = f"all {rounds + 1} runs arrived, start and end"
    return [
        Figure("delivered to a collector", "rota", "ms", to_collector, BARE, bare, budget="startup.collector", note=note),
        Figure("delivered to an agent", "rota", "ms", to_agent, BARE, bare, budget="startup.agent", note=note),
    ]


def _has_all(collector: servers.Collector, workflow: str, runs: int) -> None:
    """A cost without a delivery would be no figure."""
    servers.wait_for(lambda: collector.succeeded(workflow) == runs, f"{workflow}: not all of {runs} runs arrived")


def _peers(rounds: int) -> list[Figure]:
    figures = []
    with processes.scratch() as work, servers.nothing() as port:
        for name, shown in environments.PEERS.items():
            python, plain = environments.peer(name), processes.environment(work)
            bare, run = in_turn(
                rounds,
                functools.partial(milliseconds, python, "bare", plain),
                functools.partial(milliseconds, python, f"{name}_run", plain | peer_settings(name, port)),
            )
            figures.append(
                Figure("delivered to an empty server", shown, "ms", run, BARE, bare, note=environments.version_of(name))
            )
    return figures
