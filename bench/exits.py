"""What a script pays when its facts cannot be delivered: the whole process, over the bare interpreter.

Each of rota's samples has a home of its own, so that none profits from what an earlier one learned about the endpoint.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import environments, processes, servers
from bench.figures import Figure, in_turn, share
from bench.startup import BARE, milliseconds, peer_settings

_ROTA_ROUNDS, _PEER_ROUNDS = 30, 2
_NOTE = "the facts stay in the spool, or a detached process ships them, whose own time is not counted"


def measure(effort: float) -> list[Figure]:
    """rota in five kinds of trouble; the peers in the two that they know best."""
    return [*_rota(share(_ROTA_ROUNDS, effort)), *_peers(_PEER_ROUNDS if effort >= 1 else 0)]


def _rota(rounds: int) -> list[Figure]:
    with processes.scratch() as work, _troubles(work) as troubles:
        python, plain = environments.rota(), processes.environment(work)
        bare, *taken = in_turn(
            rounds,
            functools.partial(milliseconds, python, "bare", plain),
            *(_fresh(python, work / budget, endpoint) for _, budget, endpoint in troubles),
        )
    return [
        Figure(name, "rota", "ms", values, BARE, bare, budget=budget, note=_NOTE)
        for (name, budget, _), values in zip(troubles, taken, strict=True)
    ]


@contextlib.contextmanager
def _troubles(work: Path) -> Iterator[list[tuple[str, str, dict[str, str]]]]:
    """(Name, budget, settings) of each kind of trouble."""
    with contextlib.ExitStack() as stack:
        closed, silent, dropping = (stack.enter_context(make()) for make in (servers.reserved, servers.silent, servers.dropping))
        tls, certificate = stack.enter_context(servers.behind_tls(work))
        to_tls = {"ROTA_ENDPOINT": f"https://localhost:{tls}", "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate)}
        yield [
            ("collector closed", "exit.closed", {"ROTA_ENDPOINT": f"http://127.0.0.1:{closed}"}),
            ("collector silent", "exit.silent", {"ROTA_ENDPOINT": f"http://127.0.0.1:{silent}"}),
            ("dead name lookup", "exit.dns", {"ROTA_ENDPOINT": "http://collector.invalid:4318"}),
            ("SYN dropped", "exit.syn", {"ROTA_ENDPOINT": f"http://127.0.0.1:{dropping}"}),
            ("collector behind TLS", "exit.tls", to_tls),
        ]


def _fresh(python: str, homes: Path, endpoint: dict[str, str]) -> Callable[[], float]:
    """A contestant whose every run has a new home, must leave its facts there, and leaves no process behind."""
    numbers = itertools.count()

    def run() -> float:
        home = homes / str(next(numbers))
        taken = milliseconds(python, "rota_run", processes.environment(home, ROTA_AGENT="off", **endpoint))
        is_shipping = processes.end_those_of(home)
        if not is_shipping and not list(home.glob("spool/*/*.logs.jsonl")):
            raise RuntimeError(f"{endpoint['ROTA_ENDPOINT']}: nothing was left in the spool, and nobody is shipping it")
        return taken

    return run


def _peers(rounds: int) -> list[Figure]:
    figures = []
    for name, shown in environments.PEERS.items() if rounds else ():
        with processes.scratch() as work, servers.reserved() as closed, servers.silent() as silent:
            python, plain = environments.peer(name), processes.environment(work)
            for trouble, port in (("collector closed", closed), ("collector silent", silent)):
                settings = plain | peer_settings(name, port)
                bare, run = in_turn(
                    rounds,
                    functools.partial(milliseconds, python, "bare", plain),
                    functools.partial(milliseconds, python, f"{name}_run", settings),
                    is_warm=True,
                )
                figures.append(Figure(trouble, shown, "ms", run, BARE, bare, note=environments.version_of(name)))
    return figures
