"""``rota policy``: what is expected of workflows."""

from __future__ import annotations

import json

from rota.cli import _api, _parts, _policy_files, _text
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "show and change what is expected of workflows"
_SHORT = 12  # of a commit, as people read it
_COLOURS = {"new": "green", "changed": "yellow", "same": "grey", "removed": "red"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the actions of ``rota policy``."""
    actions = parser.add_subparsers(
        dest="action", metavar="ACTION", required=True, help="get, diff, apply, rollback, check or schema"
    )
    get = actions.add_parser("get", help="show the policy in force and who set what in it; or all that is stored, as a file")
    get.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="its name")
    get.add_argument("--versions", action="store_true", help="list every version, with who, why and from where")
    get.add_argument("--all", action="store_true", help="print every policy that is stored, as YAML that `apply` reads")
    get.add_argument("--source", metavar="TEXT", help="with --all: those that come from there")
    get.set_defaults(act=_get)
    apply = actions.add_parser("apply", help="store the policies of files; all of them, or none when one is wrong")
    _policy_files.add_arguments(apply, required=True)
    _policy_files.add_source(apply)
    apply.add_argument("--reason", metavar="TEXT", help="why, for the record")
    apply.add_argument("--dry-run", action="store_true", help="store nothing; say what would be in force")
    apply.add_argument(
        "--prune", action="store_true", help="take away what was stored from the same source and is not in it any more"
    )
    apply.set_defaults(act=_apply)
    diff = actions.add_parser("diff", help="show how two versions differ; or files and what is stored")
    diff.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="its name; all in the files when left out")
    diff.add_argument("--from", dest="older", type=int, metavar="VERSION", help="the one before the latest when left out")
    diff.add_argument("--to", dest="newer", type=int, metavar="VERSION", help="the latest when left out")
    _policy_files.add_arguments(diff, required=False)
    _policy_files.add_source(diff)
    diff.add_argument("--exit-code", action="store_true", help="exit status 1 when there is a difference")
    diff.set_defaults(act=_diff)
    test = actions.add_parser(
        "test", help="say what the policies of files would have changed in the last 90 days; stores nothing"
    )
    _policy_files.add_arguments(test, required=True)
    test.set_defaults(act=_test)
    rollback = actions.add_parser("rollback", help="store an earlier version again")
    rollback.add_argument("workflow", metavar="WORKFLOW", help="its name")
    rollback.add_argument("--to", dest="version", type=int, required=True, metavar="VERSION", help="as `get --versions` has them")
    rollback.add_argument("--reason", metavar="TEXT", help="why, for the record")
    rollback.set_defaults(act=_rollback)
    check = actions.add_parser("check", help="say what is wrong with the policies of files; needs no collector that runs")
    _policy_files.add_arguments(check, required=True)
    check.set_defaults(act=_check)
    schema = actions.add_parser("schema", help="print the JSON Schema of the document, for an editor")
    schema.set_defaults(act=_schema)
    for action in (get, test, apply, rollback, check):
        action.add_argument("--json", action="store_true", help="print JSON")


def run(args: Namespace) -> int:
    """Show or change policies."""
    status: int = args.act(args)
    return status


def _schema(_args: Namespace) -> int:
    from rota.rules.policy_schema import schema

    print(json.dumps(schema(), indent=2))
    return 0


def _get(args: Namespace) -> int:
    if args.all:
        return _get_all(args)
    if not args.workflow:
        raise UsageError("name a workflow, or say --all")
    path = _api.of_workflow(args.workflow, "/policy")
    if args.versions:
        _print_versions(_api.get(path + "/versions")["items"], args.json)
    elif args.json:
        _text.json_item(_api.get(path))
    else:
        _print(_api.get(path))
    return 0


def _get_all(args: Namespace) -> int:
    """What ``apply`` stores again as it is: no table, and nothing of what code declares."""
    from rota.cli import _yaml

    stored = _api.get("/policies", source=args.source)["items"]
    found = [{"workflow": each["workflow"], **each["policy"]} for each in stored]
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(_yaml.documents(found), end="")
    return 0


def _print(policy: _api.Item) -> None:
    facts = {"workflow": policy["workflow"], "level": policy["level"], "version": policy["version"], "from": _from(policy)}
    for name, value in facts.items():
        if value != "":
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
                _from(each),
                json.dumps(each["policy"]),
            ]
            for each in versions
        ]
        _text.table(("VERSION", "WHEN", "WHO", "SET BY", "WHY", "FROM", "POLICY"), rows)


def _from(item: _api.Item) -> str:
    """Where a stored document comes from, as people read it; empty when nobody said."""
    commit, plus, rest = (item["revision"] or "").partition("+")
    at = "@" + commit[:_SHORT] + plus + rest if commit else ""
    return (item["from"] or "") + at


def _apply(args: Namespace) -> int:
    from rota.cli import _versions

    given = _policy_files.given(args.files, args.source)
    if args.prune and given.place is None:
        raise UsageError(
            "--prune needs to know where the policies come from: give one -f that is a file or a folder, or --source"
        )
    answer = _versions.applied(given, args)
    if args.json:
        _text.json_items(answer["items"])
        return 0
    _text.table(("WORKFLOW", "LEVEL", "VERSION", "CHANGE"), [_applied_row(each) for each in answer["items"]])
    for each in answer["items"]:
        _print_warnings(each)
    if not answer["applied"]:
        print("nothing was stored: --dry-run")
    return 0


def _applied_row(item: _api.Item) -> list[object]:
    change = _text.Cell(item["change"], _COLOURS[item["change"]])
    return [_text.Cell(item["workflow"], "bold"), item["level"], item["version"], change]


def _diff(args: Namespace) -> int:
    from rota.cli import _versions

    if not args.files:
        return _versions.of_workflow(args)
    return _versions.of_files(_policy_files.given(args.files, args.source), args)


def _test(args: Namespace) -> int:
    from rota.cli import _versions

    return _versions.tested(_policy_files.given(args.files), args)


def _rollback(args: Namespace) -> int:
    from rota.cli import _versions

    stored = _versions.rolled_back(args)
    if args.json:
        _text.json_item(stored)
    else:
        _print(stored)
    return 0


def _check(args: Namespace) -> int:
    return _parts.ask_offline({"ask": "policy", "files": _policy_files.expanded(args.files), "json": args.json})
