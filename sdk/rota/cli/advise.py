"""``rota advise``: what another policy would have saved."""

from __future__ import annotations

import json
from urllib.parse import quote

from rota.cli import _api, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "say what retries and gates would have saved a workflow, with the evidence"
_SHOWN = 3  # runs of each piece of advice


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota advise``."""
    parser.add_argument("workflow", metavar="WORKFLOW", help="its name")
    parser.add_argument("--json", action="store_true", help="print the API's item")


def run(args: Namespace) -> int:
    """Print the advice for one workflow."""
    found = _api.get("/advice/" + quote(args.workflow, safe=""))
    if args.json:
        _text.json_item(found)
        return 0
    print(_text.clean("%s is on the level %s; %d runs since %s" % (
        found["workflow"], found["level"], found["runs"], _text.when(found["since_at"]))))  # fmt: skip
    for each in found["items"]:
        _print(each)
    if not found["items"]:
        print("nothing to advise: its failures, if any, have no cause that a retry or a gate would have kept away")
    elif any(each["level"] in found["promote"] for each in found["items"]):
        level = next(each["level"] for each in found["items"] if each["level"] in found["promote"])
        print("\nrota promote %s --to %s" % (_text.clean(found["workflow"]), level))
    return 0


def _print(each: _api.Item) -> None:
    print("\n" + _text.coloured(_text.clean("%s: %s" % (each["level"], each["reason"])), "bold"))
    print("  policy  " + json.dumps(each["policy"], ensure_ascii=False))
    for run_id in each["runs"][-_SHOWN:]:
        print("  as in   rota show " + _text.clean(run_id))
