"""Writes the reference pages that repeat what the code says; `--check` tells whether they are in step with it.

- docs/reference/settings.md from the SETTINGS table of each package
- docs/reference/cli.md from the commands of `rota` and their arguments
- docs/reference/policy.md and policy.schema.json from rota.rules.fields.FIELDS
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from rota import cli
from rota.rules.fields import FIELDS, LATER
from rota.rules.policy_schema import schema

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
POLICY_HEAD = """\
# Policy document

YAML or JSON. A file holds one document or several (`---` between them, in JSON a list), each with its `workflow`. The same keys
as a [JSON Schema](policy.schema.json), for editors and pipelines. [Policies](../policies.md) tells what they are for.

<!-- Written by docs/generate.py from rota.rules.fields.FIELDS: change that, then run it. -->

| key | value | meaning |
|---|---|---|
"""
POLICY_TAIL = """
A duration is `90s`, `15m`, `2h`, `1h30m`, `1d`, `1w`, or a number of seconds; 400 days at most. Every key may be `null`: a stored
`null` takes away what code declares. What is stored overrides code key by key, in `expect`, `alert`, `retry` and `tasks` part by
part, all else as a whole.

A key that is not in the table is an error that names the nearest one. These are part of the design and are refused until they
do something: {later}.
"""
VALUES = {
    "length": "duration, above 0",
    "count": "number from 1",
    "count or false": "number from 1, or `false`",
    "texts": "text, or a list of texts",
    "named": "mapping by name",
    "windows": "text, or a list of texts",
    "failures": "text, or a list of texts",
    "factor": "number from 1",
    "fraction": "number from 0 to 1",
    "amount": "number above 0",
    "whole": "number from 0 to 100",
    "flag": "`true` or `false`",
    "size": "size: `500MB`, `10GiB`",
    "expected": "number or text",
    "unreachable": "`go`, `skip`, `deny` or `wait(30m)`",
}


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
    rows = "".join(f"| `{spelling}` | {cell(meaning)} |\n" for spelling, meaning in arguments(parser))
    table = f"\n| argument | meaning |\n|---|---|\n{rows}" if rows else ""
    return f"\n## rota {name}\n\n{sentence(command.HELP)}\n{table}"


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """The arguments of a command as they are typed, and what each means; actions with their own."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}
            for name, below in action.choices.items():
                yield name, sentence(helps.get(name) or "")
                yield from ((f"{name} {spelling}", meaning) for spelling, meaning in arguments(below))
        elif not isinstance(action, argparse._HelpAction):
            yield spelled(action), described(action)


def policy_page() -> str:
    """The keys of the policy document."""
    rows = "".join(f"| `{each.path}` | {value_of(each.kind)} | {cell(each.help)} |\n" for each in FIELDS)
    return POLICY_HEAD + rows + POLICY_TAIL.format(later=", ".join(f"`{name}`" for name in LATER))


def value_of(kind: str) -> str:
    """What a key takes, for people."""
    return VALUES.get(kind) or (kind if "|" not in kind else " or ".join(f"`{word}`" for word in kind.split("|")))


def policy_schema() -> str:
    """The policy document as a JSON Schema."""
    return json.dumps(schema(), indent=2) + "\n"


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


PAGES = {
    REFERENCE / "settings.md": settings_page,
    REFERENCE / "cli.md": cli_page,
    REFERENCE / "policy.md": policy_page,
    REFERENCE / "policy.schema.json": policy_schema,
}


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
