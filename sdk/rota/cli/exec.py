"""``rota exec``: run a command as an observed run. Read without argparse, which would double what it costs."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import NoReturn

    from rota.exec.options import Options

HELP = "run a command as an observed run: same streams, same signals, same exit status"
_WRONG_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """For help and reference; what is typed is read by ``rota.exec.options``."""
    from rota.exec.options import OPTIONS, SHELL_OPTION

    for flag, metavar, text in (*OPTIONS, SHELL_OPTION):
        parser.add_argument(flag, metavar=metavar, help=text)
    parser.add_argument("command", metavar="COMMAND …", nargs="*", help="the command and its arguments; `--` may stand before it")


def run(args: argparse.Namespace) -> int:
    """As every command has it; what is typed goes to ``main`` before anything is parsed."""
    return main(["--", *args.command])


def main(words: list[str]) -> int:
    """Run what stands after ``rota exec``. Returns only when it cannot be read: 2, or 0 for help."""
    if words and words[0] in ("-h", "--help"):
        return _help()
    from rota.exec.options import WrongUsage, parse

    try:
        options = parse(words)
    except WrongUsage as wrong:
        print("rota exec: %s. `rota exec --help` says more" % wrong, file=sys.stderr)
        return _WRONG_USAGE
    return execute(options)


def of_shell(words: list[str]) -> Options | None:
    """For ``rota-sh``: what its words ``-c LINE …`` ask for; None when the line begins a run itself."""
    from rota.exec.naming import begins_a_run
    from rota.exec.options import parse

    return None if begins_a_run(words[1]) else parse(words)


def execute(options: Options) -> NoReturn:
    """Run the command; without a run, when what observes it cannot even be loaded."""
    try:
        from rota.exec.observe import execute as observe
    except Exception as error:
        _become(options.command, error)
    observe(options)


def _become(command: list[str], error: Exception) -> NoReturn:
    """With as little of rota as there can be."""
    import _signal  # type: ignore[import-not-found]

    from rota._guard import note

    note("exec", error)
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them
        if hasattr(_signal, name):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as refused:
        print("rota exec: %s: %s" % (command[0], refused.strerror), file=sys.stderr)
        os._exit(127 if isinstance(refused, FileNotFoundError) else 126)


def _help() -> int:
    import argparse

    parser = argparse.ArgumentParser(prog="rota exec", usage="rota exec [OPTION …] [--] COMMAND …", description=HELP)
    add_arguments(parser)
    parser.print_help()
    return 0
