"""API items -> what a page shows. Pure: no server, no browser, no clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rota.rules.fold import TERMINAL

Item = dict[str, Any]

# Short is fine, tall needs someone, hollow means that no run happened.
GLYPHS = {
    "succeeded": "▄", "failed": "█", "crashed": "▚", "timed_out": "┳", "missed": "▯", "unknown": "⋮",
    "cancelled": "╱", "skipped": "╌", "upstream_failed": "▫", "ended": "▂", "running": "▶",
}  # fmt: skip
BAD = ("failed", "crashed", "timed_out")


def headline(workflows: Sequence[Item]) -> str:
    """The page in one sentence."""
    bad = sum(needs_someone(item) for item in workflows)
    if bad:
        return f"{bad} workflow{'s need' if bad > 1 else ' needs'} someone"
    return "Nothing needs you."


def needs_someone(workflow: Item) -> bool:
    """Whether an incident is open, or, where failures open none, the last run went wrong."""
    return bool(workflow.get("open_incidents")) or workflow["state"] in BAD


def summary(workflows: Sequence[Item]) -> str:
    """How many there are, and how many run now."""
    live = sum(item["state"] is not None and item["state"] not in TERMINAL for item in workflows)
    return f"{len(workflows)} workflow{'s' if len(workflows) != 1 else ''} · {live} running now"


def workflow_row(item: Item) -> dict[str, str]:
    """A row of the list of workflows."""
    last = item.get("last_run") or {}
    rate = item.get("success_rate_30d")
    return {
        "Workflow": item["name"],
        "State": state({**item, "state": "missed"} if item.get("verdict") == "missed" else item),
        "Last 30, newest right": strip(item.get("outcomes") or ()),
        "Last run (UTC)": at(last.get("started_at")),
        "Duration": duration(last.get("duration_seconds")),
        "Next (UTC)": "paused" if item.get("paused") else at(item.get("next_due_at")),
        "Success, 30 days": "–" if rate is None else f"{rate:.0%}",
        "Level": item.get("level") or "observe",
    }


def run_row(item: Item) -> dict[str, str]:
    """A row of the list of runs."""
    return {
        "Workflow": item["workflow"],
        "State": state(item),
        "Started (UTC)": at(item["started_at"]),
        "Duration": duration(item["duration_seconds"]),
        "Exit": exit_status(item),
        "Error": ": ".join(text for text in (item["error_type"], item["error_message"]) if text),
        "Host": item["host"] or "–",
    }


def task_rows(tasks: Sequence[Item]) -> list[dict[str, str]]:
    """Rows of a run's tasks in the order they started, each indented under its parent."""
    children: dict[str | None, list[Item]] = {}
    known = {task["span_id"] for task in tasks}
    for task in sorted(tasks, key=lambda task: task["started_at"] or ""):
        parent = task["parent_span_id"] if task["parent_span_id"] in known else None
        children.setdefault(parent, []).append(task)
    rows, waiting = [], [(task, 0) for task in reversed(children.get(None, []))]
    while waiting:
        task, depth = waiting.pop()
        rows.append(_task_row(task, depth))
        waiting += [(child, depth + 1) for child in reversed(children.get(task["span_id"], []))]
    return rows


def _task_row(task: Item, depth: int) -> dict[str, str]:
    return {
        "Task": "\u2003" * depth + task["name"],
        "State": state(task),
        "Started (UTC)": at(task["started_at"]),
        "Duration": duration(task["duration_seconds"]),
        "Error": ": ".join(text for text in (task["error_type"], task["error_message"]) if text),
    }


def error_text(run: Item) -> str:
    """What went wrong, as Python would say it: the stack when there is one, else type and message; empty when nothing did."""
    stack = (run.get("error_stack") or "").rstrip()
    return stack or ": ".join(text for text in (run["error_type"], run["error_message"]) if text)


def state(item: Item) -> str:
    """The state with its shape and, where somebody gave one, its reason. A workflow that has a policy and never ran has none."""
    if item["state"] is None:
        return "never ran"
    name = item["state"]
    words = name.replace("_", " ") + (f" ({item['reason']})" if item.get("reason") else "")
    return f"{GLYPHS.get(name, '▷')} {words}"


def strip(outcomes: Sequence[str]) -> str:
    """Outcomes as a strip of glyphs, oldest first."""
    return "".join(GLYPHS.get(outcome, "▷") for outcome in outcomes)


def exit_status(run: Item) -> str:
    """The exit status, or a dash for a run that has none."""
    return "–" if run["exit_code"] is None else str(run["exit_code"])


def duration(seconds: float | None) -> str:
    """``7m 46s``, ``12 s``, ``0.42 s``, ``35 ms``; a dash when it is not known."""
    if seconds is None:
        return "–"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {seconds:02}s"


def at(text: str | None) -> str:
    """``2026-03-01 02:00:03`` (UTC) from the API's ISO 8601 time; a dash when there is none."""
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S") if text else "–"
