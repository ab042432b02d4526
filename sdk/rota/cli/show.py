"""``rota show``: one run, its error, its attempts, what was decided about it, and its tasks."""

from __future__ import annotations

from rota.cli import _api, _text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

HELP = "show a run: its end, its error with the stack, its attempts, what gates said, its tasks"
_INDENT = "  "
_ENOUGH = 50  # tasks that a person reads
_COLOURS = {"go": "green", "wait": "yellow", "skip": "grey", "deny": "red"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of ``rota show``."""
    parser.add_argument("run", metavar="RUN", help="a run id or its beginning, `last`, or a workflow (its last run)")
    parser.add_argument("--all", action="store_true", help="print every task, not the first %d" % _ENOUGH)
    parser.add_argument("--json", action="store_true", help="print the API's item")


def run(args: Namespace) -> int:
    """Print one run."""
    found = _api.find_run(args.run)
    if args.json:
        _text.json_item(found)
        return 0
    _print_facts(found)
    print_error(found)
    if len(found["attempts"]) > 1:
        print()
        print_attempts(found)
    decisions = _api.get("/runs/%s/decisions" % found["id"])["items"]
    if decisions:
        print()
        print_decisions(decisions)
    if found["tasks"]:
        print()
        print_tasks(found, None if args.all else _ENOUGH)
    return 0


def _print_facts(run: _api.Item) -> None:
    state = _text.state_cell(run["state"], run["reason"])
    facts = [
        ("workflow", _text.Cell(run["workflow"], "bold")),
        ("run", run["id"]),
        ("state", state),
        ("attempt", run["attempt"] if run["attempt"] > 1 else None),
        ("started", _text.when(run["started_at"])),
        ("ended", _text.when(run["ended_at"])),
        ("took", _text.took(run).text),
        ("exit code", run["exit_code"]),
        ("host", run["host"]),
        ("tags", ", ".join(run["tags"])),
        ("part of", run["parent_run_id"]),
        ("trace", run["trace_id"]),
        ("said by", run["source"]),
    ]
    for name, value in facts:
        if value not in (None, ""):
            cell = value if isinstance(value, _text.Cell) else _text.Cell(str(value))
            print("%-10s %s" % (name, _text.coloured(_text.clean(cell.text), cell.colour)))


def print_error(run: _api.Item) -> None:
    """Print the error of a run, with its stack, if it had one."""
    if run["error_type"]:
        print()
        print(_text.coloured(_text.clean("%s: %s" % (run["error_type"], run["error_message"] or "")), "red"))
        if run["error_stack"]:
            print(_text.clean_lines(run["error_stack"]))


def print_attempts(run: _api.Item) -> None:
    """Print the attempts of a run."""
    rows = [
        (each["attempt"], _text.state_cell(each["state"], each["reason"]), _text.when(each["started_at"]), _text.took(each),
         each["exit_code"], _error(each))
        for each in run["attempts"]
    ]  # fmt: skip
    _text.table(("ATTEMPT", "STATE", "STARTED", "TOOK", "EXIT", "ERROR"), rows)


def print_decisions(decisions: list[_api.Item]) -> None:
    """Print what was answered to a run that asked, and why."""
    rows = [
        (_text.when(each["at"]), each["task"], _text.Cell(each["answer"], _COLOURS.get(each["answer"])), each["kind"],
         each["reason"], each["source"])
        for each in decisions
    ]  # fmt: skip
    _text.table(("DECIDED", "TASK", "ANSWER", "GATE", "WHY", "BY"), rows)


def print_tasks(run: _api.Item, most: int | None = _ENOUGH) -> None:
    """Print the tasks of a run, each under the one that called it; of more than ``most``, say how many there are."""
    tasks = tree(run["tasks"])
    _text.table(("TASK", "STATE", "TOOK", "ERROR"), [_task_row(task, depth) for task, depth in tasks[:most]])
    if most is not None and len(tasks) > most:
        bad = sum(task["state"] == "failed" for task, _ in tasks[most:])
        print("… and %d more, of which %d failed: rota show %s --all" % (len(tasks) - most, bad, run["id"]))


def _task_row(task: _api.Item, depth: int) -> list[object]:
    return [_INDENT * depth + task["name"], _text.state_cell(task["state"]), _text.took(task), _error(task)]


def _error(item: _api.Item) -> str:
    return ": ".join(filter(None, (item["error_type"], item["error_message"])))


def tree(tasks: list[_api.Item]) -> list[tuple[_api.Item, int]]:
    """The tasks in the order they started, children after their parent, each with its depth."""
    ids = {task["span_id"] for task in tasks}
    children: dict[str | None, list[_api.Item]] = {}
    for task in sorted(tasks, key=lambda task: task["started_at"] or ""):
        parent = task["parent_span_id"]
        children.setdefault(parent if parent in ids and parent != task["span_id"] else None, []).append(task)
    found: list[tuple[_api.Item, int]] = []
    while children:  # once, but for tasks that name each other as parents: they are shown too
        top = None if None in children else next(iter(children))
        waiting = [(task, 0) for task in reversed(children.pop(top))]
        while waiting:
            task, depth = waiting.pop()
            found.append((task, depth))
            waiting.extend((child, depth + 1) for child in reversed(children.pop(task["span_id"], [])))
    return found
