"""``rota ls``: the workflows and how they are doing."""

from __future__ import annotations

from rota.cli import _api, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "list the workflows, their last run and how often they succeed"
HEADINGS = ("WORKFLOW", "STATE", "LAST RUN", "TOOK", "NEXT", "VERDICT", "SUCCESS 30 D", "LAST RUNS")
_MARKS = 12  # how many of the last runs a line shows


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of ``rota ls``."""
    parser.add_argument("--json", action="store_true", help="print the API's items")


def run(args: Namespace) -> int:
    """Print every workflow."""
    workflows = list(_api.items("/workflows"))
    if args.json:
        _text.json_items(workflows)
    elif not workflows:
        print("no workflow yet: add `import rota` and `rota.watch()` to a script, and run it")
    else:
        _text.table(HEADINGS, [_row(each) for each in workflows])
    return 0


def _row(workflow: _api.Item) -> list[object]:
    last, rate = workflow["last_run"], workflow["success_rate_30d"]
    return [
        _text.Cell(workflow["name"], "bold"),
        _text.state_cell(workflow["state"] or "never ran"),
        _text.when(last["started_at"]) if last else "",
        _text.took(last) if last else "",
        "paused" if workflow["paused"] else _text.when(workflow["next_due_at"]),
        _text.verdict_cell(workflow["verdict"]),
        _text.Cell("" if rate is None else "%.0f %%" % (100 * rate), None, True),
        _text.marks(workflow["outcomes"][-_MARKS:]),
    ]
