"""DBOS: a program with its system database in an SQLite file, which is looked at when the program is over."""

from __future__ import annotations

from pathlib import Path

from in_system import scripted

from observers.system import System, program

OBSERVE = "import sys; from rota.cli import main; sys.exit(main(['observe', 'dbos', '--once', '--database', {!r}]))"


def observe(folder: Path, home: Path) -> str:
    """Look once at what the programs of a folder did; returns what was said."""
    done = scripted("dbos", OBSERVE.format(f"sqlite:///{folder / 'work' / 'dbos.sqlite'}"), home)
    assert done.returncode == 0, done.stderr
    return done.stderr


def run(scenario: str, folder: Path, environment: dict[str, str]) -> None:
    """The program, then a look."""
    program("dbos")(scenario, folder, environment)
    observe(folder, Path(environment["ROTA_HOME"]))


SYSTEMS = {
    "dbos": System(
        run,
        except_for={
            "skip": "a workflow of DBOS's does what its code says: it is never skipped",
            "killed": "it stays PENDING, and is taken up again by the next process of the program",
        },
        instead={
            "retry": {"attempts": {}},  # of a step only the outcome is kept
            "upstream": {"tasks": {"extract": "failed"}},  # nobody knows what the code would have called
            "schedule": {"run": ["queued", "running", "succeeded"]},  # by way of a queue of DBOS's
        },
        together=("success", "failure", "retry", "upstream", "fan_out", "cancel", "schedule"),
    )
}
