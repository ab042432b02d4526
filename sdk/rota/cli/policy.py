"""``rota policy``: what is expected of workflows."""

from __future__ import annotations

import json
import sys

from rota.cli import _api, _parts, _text, _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "show and change what is expected of workflows"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota policy``."""
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, help="get, diff, apply, rollback, check or schema"
    )
    get = actions.add_parser("get", help="show the policy in force and who set what in it")
    get.add_argument("workflow", metavar="WORKFLOW", help="its name")
    get.add_argument("--versions", action="store_true", help="list every version, with who and why")
    get.set_defaults(act=_get)
    apply = actions.add_parser("apply", help="store the policies of a file; all of them, or none when one is wrong")
    apply.add_argument(
        "-f", "--file", required=True, metavar="FILE", help="YAML or JSON, each document with its `workflow`; - reads stdin"
    )
    apply.add_argument("--reason", metavar="TEXT", help="why, for the record")
    apply.add_argument("--dry-run", action="store_true", help="store nothing; say what would be in force")
    apply.set_defaults(act=_apply)
    diff = actions.add_parser("diff", help="show how two versions differ; or a file and what is stored")
    diff.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="its name; all in the file when left out")
    diff.add_argument("--from", dest="older", type=int, metavar="VERSION", help="the one before the latest when left out")
    diff.add_argument("--to", dest="newer", type=int, metavar="VERSION", help="the latest when left out")
    diff.add_argument("-f", "--file", metavar="FILE", help="what is stored against this file")
    diff.set_defaults(act=_diff)
    test = actions.add_parser(
        "test", help="say what the policies of a file would have changed in the last 90 days; stores nothing"
    )
    test.add_argument("-f", "--file", required=True, metavar="FILE", help="as for apply")
    test.set_defaults(act=_test)
    rollback = actions.add_parser("rollback", help="store an earlier version again")
    rollback.add_argument("workflow", metavar="WORKFLOW", help="its name")
    rollback.add_argument("--to", dest="version", type=int, required=True, metavar="VERSION", help="as `get --versions` has them")
    rollback.add_argument("--reason", metavar="TEXT", help="why, for the record")
    rollback.set_defaults(act=_rollback)
    check = actions.add_parser("check", help="say what is wrong with the policies of a file; needs no collector that runs")
    check.add_argument("-f", "--file", required=True, metavar="FILE", help="as for apply")
    check.set_defaults(act=_check)
    schema = actions.add_parser("schema", help="print the JSON Schema of the document, for an editor")
    schema.set_defaults(act=_schema)
    for action in (get, test, apply, rollback):
        action.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Show or change policies."""
    status: int = args.act(args)
    return status


def _schema(_args: Namespace) -> int:
    from rota.rules.policy_schema import schema

    print(json.dumps(schema(), indent=2))
    return 0


def _get(args: Namespace) -> int:
    path = _api.of_workflow(args.workflow, "/policy")
    if args.versions:
        _print_versions(_api.get(path + "/versions")["items"], args.json)
    elif args.json:
        _text.json_item(_api.get(path))
    else:
        _print(_api.get(path))
    return 0


def _print(policy: _api.Item) -> None:
    facts = {"workflow": policy["workflow"], "level": policy["level"], "version": policy["version"]}
    for name, value in facts.items():
        print("%-9s %s" % (name, _text.clean(value)))
    if policy["policy"]:
        print()
        rows = [[key, policy["source"][key], json.dumps(value, ensure_ascii=False)] for key, value in policy["policy"].items()]
        _text.table(("KEY", "SET BY", "VALUE"), rows)
    for text in policy["problems"]:
        print("cannot be used, as code declares it: " + _text.clean(text))
    _print_warnings(policy)


def _print_warnings(policy: _api.Item) -> None:
    for text in policy["warnings"]:
        print(_text.coloured("warning: %s: %s" % (_text.clean(policy["workflow"]), _text.clean(text)), "yellow"))


def _print_versions(versions: list[_api.Item], as_json: bool) -> None:
    if as_json:
        _text.json_items(versions)
    elif not versions:
        print("no policy yet: it observes")
    else:
        rows = [
            [
                each["version"],
                _text.when(each["created_at"]),
                each["author"],
                each["origin"],
                each["reason"],
                json.dumps(each["policy"]),
            ]
            for each in versions
        ]
        _text.table(("VERSION", "WHEN", "WHO", "SET BY", "WHY", "POLICY"), rows)


def _apply(args: Namespace) -> int:
    from rota.cli import _versions

    text, kind = _read(args.file), _versions.kind_of(args.file)
    dry_run = 1 if args.dry_run else None
    answer = _api.post_text("/policies", text, kind, author=_typed.who(), reason=args.reason, dry_run=dry_run)
    if args.json:
        _text.json_items(answer["items"])
        return 0
    rows = [[_text.Cell(each["workflow"], "bold"), each["level"], each["version"]] for each in answer["items"]]
    _text.table(("WORKFLOW", "LEVEL", "VERSION"), rows)
    for each in answer["items"]:
        _print_warnings(each)
    if not answer["applied"]:
        print("nothing was stored: --dry-run")
    return 0


def _diff(args: Namespace) -> int:
    from rota.cli import _versions

    return _versions.of_file(_read(args.file), args) if args.file else _versions.of_workflow(args)


def _test(args: Namespace) -> int:
    from rota.cli import _versions

    return _versions.tested(_read(args.file), args)


def _rollback(args: Namespace) -> int:
    from rota.cli import _versions

    stored = _versions.rolled_back(args)
    if args.json:
        _text.json_item(stored)
    else:
        _print(stored)
    return 0


def _check(args: Namespace) -> int:
    return _parts.ask_offline({"ask": "policy", "file": args.file})


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        raise UsageError("cannot read %s: %s" % (file, error.strerror)) from None
