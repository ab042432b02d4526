"""What a system is to the contract: how it does the scenarios of ``contract/observers/expected.toml``."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrators import SOURCES, python_of

PROGRAMS = Path(__file__).parents[1] / "contract" / "observers" / "programs"
ENDED_BY = {"cancel": signal.SIGINT, "killed": signal.SIGKILL}


@dataclass(frozen=True)
class System:
    """One system.

    Args:
        run: does a scenario: (its name, an empty folder, the environment of its user). With several names: see
            ``together``.
        except_for: scenarios that it cannot do, with why.
        instead: what it tells where that differs from the table, with why in a comment beside.
        together: scenarios that one call of ``run`` does in turn, each as a workflow of its name: for a system that takes long to
            start.
        soak: those that take too long for each `make test`.
        tells_schedules: also those of workflows that have not run.
    """

    run: Callable[[str, Path, dict[str, str]], None]
    except_for: dict[str, str] = field(default_factory=dict)
    instead: dict[str, dict[str, Any]] = field(default_factory=dict)
    together: tuple[str, ...] = ()
    soak: tuple[str, ...] = ()
    tells_schedules: bool = False


def program(system: str, **settings: str) -> Callable[[str, Path, dict[str, str]], None]:
    """A program of ``programs/`` in the system's environment, which says "up" once extract runs and is to be ended."""

    def run(scenario: str, folder: Path, environment: dict[str, str]) -> None:
        command = [python_of(system), str(PROGRAMS / f"{system}_flow.py"), scenario, str(folder / "work")]
        where = environment | {"PYTHONPATH": SOURCES, **settings}
        with subprocess.Popen(command, env=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            if scenario in ENDED_BY and process.stdout is not None:
                assert process.stdout.readline() == "up\n"
                os.kill(process.pid, ENDED_BY[scenario])
            _, said = process.communicate(timeout=120)
        assert process.returncode == 0 or scenario in ENDED_BY, said

    return run
