"""The command line: ``rota COMMAND``. One file a command, imported only when it is the one that was asked for.

A command's module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> exit status``.
"""

from __future__ import annotations

import os
import sys

from rota.errors import RotaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

COMMANDS = (
    "demo", "up", "collector", "dashboard", "agent", "exec", "ls", "runs", "show", "logs", "slots", "incidents", "channel",
    "schedule", "policy", "advise", "promote", "demote", "gate", "approve", "cancel", "pause", "resume", "maintenance", "observe",
    "key", "audit", "sql", "export", "doctor",
)  # fmt: skip
_INTERRUPTED = 130  # as a shell reports a command that SIGINT ended


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status (0 well, 1 not, 2 wrong usage)."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["exec"]:
        return _exec(words[1:])
    try:
        status = _run(words[0], words[1:]) if words and words[0] in COMMANDS else _without_command(words)
        sys.stdout.flush()
        return status
    except RotaError as error:
        print("rota: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # `rota runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        return 0


def _exec(words: list[str]) -> int:
    """Before anything else, as it stands before every job: no argparse, and no fault of rota's keeps the job from running."""
    try:
        from rota.cli.exec import main as execute
        from rota.exec import options  # noqa: F401  all that it needs to read what was typed
    except Exception:
        command = words[words.index("--") + 1 :] if "--" in words else words
        if not command or command[0].startswith("-"):
            raise
        import _signal  # type: ignore[import-not-found]

        _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)  # Python ignores it
        os.execvp(command[0], command)
    return execute(words)


def _without_command(words: list[str]) -> int:
    word = words[0] if words else "--help"
    if word in ("-V", "--version"):
        from rota import __version__

        print("rota", __version__)
        return 0
    asked = word in ("-h", "--help", "help")
    out = sys.stdout if asked else sys.stderr
    if not asked:
        print("rota: there is no command %r" % word, file=out)
    print("usage: rota COMMAND …\n", file=out)
    for name in COMMANDS:
        print("  %-11s %s" % (name, _command(name).HELP), file=out)
    print("\n`rota COMMAND --help` says more.", file=out)
    return 0 if asked else 2


def _run(name: str, words: list[str]) -> int:
    import argparse

    command = _command(name)
    parser = argparse.ArgumentParser(prog="rota " + name, description=command.HELP)
    command.add_arguments(parser)
    args = parser.parse_args(words)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without ✓ shows ?
    status: int = command.run(args)
    return status


def _command(name: str) -> Any:
    from importlib import import_module

    return import_module("rota.cli." + name)
