"""One execution of a flow, as Azkaban describes it each time it is asked, as states of a run and its tasks."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota_integrations.states import State, Table

_MS = 1_000_000  # nanoseconds
_BAD = ("FAILED", "KILLED", "EXECUTION_STOPPED")
_BEFORE = ("scheduled", "queued", "starting")


class Execution:
    """What was told of it, so that the next description tells what is new.

    Args:
        source: tells.
        states: the room's table.
        workflow: the flow's.
        key: what names the execution.
        declared: the flow's schedule.
        status: Azkaban's word when it was told last, before a restart.
    """

    def __init__(
        self, source: Source, states: Table, workflow: str, key: tuple[str, ...], declared: Mapping[str, str], status: str = ""
    ) -> None:
        self._source, self._states, self._workflow, self._key, self._declared = source, states, workflow, key, declared
        self.status, self.is_over = status, False
        self._has_begun = False
        self._told: set[tuple[str, str, int, str]] = set()

    def tell(self, found: Mapping[str, Any]) -> None:
        """Tell what a description says that was not told yet.

        Args:
            found: the answer of ``fetchexecflow``.
        """
        state = self._states.of_run(found["status"], is_over=found["endTime"] > 0)
        if found["startTime"] > 0 and not self._has_begun:
            self._has_begun = True
            self._tell_run(State("running", None, "RUNNING"), found["startTime"], found)
        self._tell_nodes(found, found)
        if found["status"] != self.status and not (found["status"] == "RUNNING" and self._was_waiting()):
            self._tell_run(state, self._since(found, state), found)
        self.status, self.is_over = found["status"], state.name in TERMINAL

    def gone(self, now_ns: int) -> None:
        """Azkaban does not keep it any more: how it ended nobody knows."""
        self._source.run(self._workflow, self._key, "ended", now_ns, raw_state="GONE", reason="no longer kept by Azkaban")
        self.is_over = True

    def _was_waiting(self) -> bool:
        return not self.status or self._states.of_run(self.status).name in _BEFORE

    @staticmethod
    def _since(found: Mapping[str, Any], state: State) -> int:
        """When it came into that state (ms)."""
        if state.name in _BEFORE:
            return int(found["submitTime"])
        return int(found["endTime"] if found["endTime"] > 0 else found["updateTime"])

    def _tell_run(self, state: State, at_ms: int, found: Mapping[str, Any]) -> None:
        facts = {"azkaban.execution.id": found["execid"], "azkaban.project": found["project"], "user.name": found["submitUser"]}
        self._source.run(
            self._workflow, self._key, state.name, at_ms * _MS, raw_state=state.raw, reason=state.reason,
            started_ns=found["startTime"] * _MS if found["startTime"] > 0 else None, facts=facts, declared=self._declared,
        )  # fmt: skip

    # -- jobs, and flows inside the flow -------------------------------------------------------------------------------

    def _tell_nodes(self, level: Mapping[str, Any], found: Mapping[str, Any], never: State | None = None) -> None:
        for node in level["nodes"]:
            for past in node.get("pastAttempts") or ():
                self._tell(node, past, self._states.of_task(past["status"], is_over=True), found)
            state = never or self._state(node, level)
            if not (node["status"] == "READY" and found["endTime"] > 0 and not never):
                self._tell(node, node, state, found)
            if "nodes" in node:  # an embedded flow; what is in one that never ran does not run either
                self._tell_nodes(node, found, state if node["status"] in ("CANCELLED", "SKIPPED", "DISABLED") else None)

    def _state(self, node: Mapping[str, Any], level: Mapping[str, Any]) -> State:
        state = self._states.of_task(node["status"], is_over=node["endTime"] > 0)
        if node["status"] == "READY" and node["attempt"] > 0:
            return State("retry_wait", None, "READY")
        if node["status"] == "CANCELLED" and any(each["status"] in _BAD for each in _before(node, level)):
            return State("upstream_failed", None, "CANCELLED")
        return state

    def _tell(self, node: Mapping[str, Any], tried: Mapping[str, Any], state: State, found: Mapping[str, Any]) -> None:
        instance, attempt = node["nestedId"].rpartition(":")[0], tried["attempt"] + 1
        this = (instance, node["id"], attempt, state.raw)
        if this in self._told:
            return
        self._source.task(
            self._workflow, self._key, node["id"], state.name, self._when(node, tried, state, found) * _MS, instance=instance,
            raw_state=state.raw, reason=state.reason, attempt=attempt,
            started_ns=tried["startTime"] * _MS if tried["startTime"] > 0 else None,
            facts={"instance": instance} if instance else None,
        )  # fmt: skip
        self._told.add(this)

    @staticmethod
    def _when(node: Mapping[str, Any], tried: Mapping[str, Any], state: State, found: Mapping[str, Any]) -> int:
        if state.name in TERMINAL and tried["endTime"] > 0:
            return int(tried["endTime"])
        if state.name == "running" and tried["startTime"] > 0:
            return int(tried["startTime"])
        return int(found["submitTime"] if state.name == "scheduled" or node["updateTime"] <= 0 else node["updateTime"])


def _before(node: Mapping[str, Any], level: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All that it depends on, near and far, in its own flow."""
    seen: set[str] = set()
    nodes, left = {each["id"]: each for each in level["nodes"]}, list(node.get("in") or ())
    while left:
        name = left.pop()
        if name in nodes and name not in seen:
            seen.add(name)
            yield nodes[name]
            left += nodes[name].get("in") or ()
