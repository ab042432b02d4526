"""A server of Prefect with one flow, in memory: it answers as Prefect's REST API does, from runs that a test writes down."""

from __future__ import annotations

from typing import Any

from rota_integrations.prefect.server import Server, written

TYPES = {"Late": "SCHEDULED", "AwaitingRetry": "SCHEDULED", "Resuming": "SCHEDULED", "Retrying": "RUNNING", "NotReady": "PENDING"}
FLOW = {"id": "f1", "name": "etl"}


def at(second: float) -> str:
    """A time, as the API writes it."""
    return written(int((1_795_740_000 + second) * 10**9))


def state(name: str, second: float, message: str | None = None, **details: Any) -> dict[str, Any]:
    """A state, as the API has it."""
    kind = TYPES.get(name, name.upper())
    return {
        "id": f"{name} {second}", "type": kind, "name": name, "timestamp": at(second), "message": message,
        "state_details": details,
    }  # fmt: skip


class Prefect(Server):
    """A server with one flow: what it is asked it looks up in these, as the real one does."""

    def __init__(self) -> None:
        super().__init__("http://prefect", {})
        self.states: dict[str, list[dict[str, Any]]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, dict[str, Any]] = {}
        self.deployments: list[dict[str, Any]] = []
        self.version = "3.9.1"

    def run(self, run_id: str, *states: dict[str, Any], **more: Any) -> None:
        """There is a flow run with these states."""
        self.runs[run_id] = self._of(run_id, states) | {"flow_id": "f1", "deployment_id": None, "tags": [], **more}

    def task(self, task_id: str, run_id: str, *states: dict[str, Any], **more: Any) -> None:
        """And in it a task run."""
        found = self._of(task_id, states) | {"name": f"{task_id}-abc", "dynamic_key": "abcdef", "task_key": "x-01234567"}
        self.tasks[task_id] = found | {"flow_run_id": run_id, **more}

    def _of(self, found_id: str, states: tuple[dict[str, Any], ...]) -> dict[str, Any]:
        states = tuple({**each, "id": f"{found_id} {each['id']}"} for each in states)
        self.states[found_id] = list(states)
        begun = [each["timestamp"] for each in states if each["type"] == "RUNNING"]
        last, is_over = states[-1], states[-1]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        return {
            "id": found_id, "name": found_id, "state": last, "state_id": last["id"], "state_type": last["type"],
            "expected_start_time": states[0]["timestamp"], "start_time": begun[0] if begun else None, "run_count": len(begun),
            "end_time": last["timestamp"] if is_over else None,
        }  # fmt: skip

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer."""
        if path.endswith("_run_states/") or "_id=" in path:
            return self.states[path.partition("=")[2]]
        if body is None:
            return {"/admin/version": self.version}.get(path) or self.tasks[path.rpartition("/")[2]]
        wanted = {"/flows/filter": [FLOW], "/deployments/filter": self.deployments}.get(path)
        if wanted is None:
            of_tasks = path.startswith("/task")
            asked = body.get("task_runs" if of_tasks else "flow_runs", {})
            ids = body["flow_runs"].get("id", {}).get("any_")
            found = (self.tasks if of_tasks else self.runs).values()
            wanted = [each for each in found if _fits(each, asked) and (not ids or each.get("flow_run_id", each["id"]) in ids)]
            if body.get("sort") == "END_TIME_DESC":
                wanted.sort(key=lambda each: each["end_time"] or "", reverse=True)
        return wanted[body["offset"] : body["offset"] + body["limit"]]


def _fits(each: dict[str, Any], asked: dict[str, Any]) -> bool:
    types = asked.get("state", {}).get("type", {}).get("any_")
    after = asked.get("end_time", {}).get("after_")
    before = asked.get("expected_start_time", {}).get("before_")
    fits = not types or each["state_type"] in types
    return fits and not (after and (each["end_time"] or "") < after) and not (before and each["expected_start_time"] > before)
