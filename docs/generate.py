"""Writes the reference pages that repeat what the code says; `--check` tells whether they are in step with it.

- docs/reference/settings.md from the SETTINGS table of each package
- docs/reference/cli.md from the commands of `rota` and their arguments
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from rota import cli

REFERENCE = Path(__file__).parent / "reference"
TABLES = {
    "SDK, agent and command line": "rota._config",
    "Collector": "rota_collector.config",
    "Dashboard": "rota_dashboard.config",
}
SETTINGS_HEAD = """\
# Settings

Every setting is an environment variable, and none is needed for one machine. An argument in code or on the command line
comes before `ROTA_*`, that before `OTEL_*`, and that before the default. `rota doctor` prints the values in force.

<!-- Written by docs/generate.py from the SETTINGS tables: change those, then run it. -->
"""
CLI_HEAD = """\
# Command line

`rota COMMAND`. Exit status: 0 well; 1 something failed, and stderr says what and what to do; 2 wrong usage.
Commands that print a table print the API's JSON with `--json`.

<!-- Written by docs/generate.py from rota.cli: change that, then run it. -->
"""


class Setting(Protocol):
    """A row of a SETTINGS table."""

    name: str
    default: str
    help: str


def settings_page() -> str:
    """The settings of all packages, a table each."""
    sections = (settings_section(title, importlib.import_module(module).SETTINGS) for title, module in TABLES.items())
    return SETTINGS_HEAD + "".join(sections)


def settings_section(title: str, settings: Iterable[Setting]) -> str:
    """One table of settings."""
    rows = "".join(f"| `{row.name}` | {code(row.default)} | {cell(row.help)} |\n" for row in settings)
    return f"\n## {title}\n\n| name | default | what it does |\n|---|---|---|\n{rows}"


def cli_page() -> str:
    """The commands, each with its arguments."""
    return CLI_HEAD + "".join(command_section(name) for name in cli.COMMANDS)


def command_section(name: str) -> str:
    """One command: what it is for, and a table of its arguments."""
    command = importlib.import_module(f"rota.cli.{name}")
    parser = argparse.ArgumentParser(add_help=False)
    command.add_arguments(parser)
    rows = "".join(f"| `{spelled(action)}` | {cell(described(action))} |\n" for action in parser._actions)
    table = f"\n| argument | meaning |\n|---|---|\n{rows}" if rows else ""
    return f"\n## rota {name}\n\n{sentence(command.HELP)}\n{table}"


def spelled(action: argparse.Action) -> str:
    """An argument as it is typed."""
    value = str(action.metavar or action.dest.upper())
    if action.option_strings:
        return ", ".join(action.option_strings) + (f" {value}" if action.nargs != 0 else "")
    return f"[{value}]" if action.nargs in ("?", "*") else value


def described(action: argparse.Action) -> str:
    """What an argument's help says, its default put in."""
    return sentence((action.help or "") % {**vars(action), "prog": "rota"})


def sentence(text: str) -> str:
    """``text`` with a capital and a full stop, where it can have them."""
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".?!:`…" else "")


def code(text: object) -> str:
    """A default as the reader would type it; a dash where there is none."""
    return f"`{text}`" if str(text) else "–"


def cell(text: str) -> str:
    """``text`` as one cell of a table."""
    return text.replace("|", "\\|").replace("\n", " ")


PAGES = {REFERENCE / "settings.md": settings_page, REFERENCE / "cli.md": cli_page}


def main() -> int:
    """0 when the pages are in step (or were written), 1 when `--check` found one that is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of step")
    if not parser.parse_args().check:
        for path, page in PAGES.items():
            path.write_text(page(), encoding="utf-8")
        return 0
    stale = [path for path, page in PAGES.items() if not path.exists() or path.read_text(encoding="utf-8") != page()]
    for path in stale:
        print(f"docs/reference/{path.name} is out of step with the code. Run: python docs/generate.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
