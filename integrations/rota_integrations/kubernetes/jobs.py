"""One Job and its pods, as the API describes them each time, as states of a run and its tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Iterable, Mapping

from rota.foreign import Source
from rota.rules.fold import TERMINAL
from rota.wire import names
from rota_integrations.states import State, Table

_SLOT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_INDEX = "batch.kubernetes.io/job-completion-index"
_SIGKILL = 128 + 9


def owner_of(found: Mapping[str, Any], kind: str) -> str | None:
    """The name of what made it, if that is of this kind."""
    owners = found["metadata"].get("ownerReferences") or ()
    return next((str(each["name"]) for each in owners if each["kind"] == kind), None)


class Job:
    """What was told of it, so that the next description tells what is new.

    Args:
        source: tells.
        states: the room's table.
        memory: JSON; ``key`` and ``workflow`` at first.
    """

    def __init__(self, source: Source, states: Table, memory: dict[str, Any]) -> None:
        self._source, self._states, self.memory = source, states, memory
        self.workflow: str = memory["workflow"]
        self._key = tuple(memory["key"])
        memory.setdefault("said", "")  # the last state of the run
        memory.setdefault("pods", {})  # by id: [instance, attempt]
        memory.setdefault("tasks", {})  # by pod, container and attempt: the last state
        memory.setdefault("crash", None)  # what killed a container last
        memory.setdefault("began", None)  # when the first container did, Unix ns

    def is_over(self, found: Mapping[str, Any]) -> bool:
        """Whether the Job has ended."""
        return _condition(found, "Complete", "Failed") is not None

    def tell(self, found: Mapping[str, Any], declared: Mapping[str, str]) -> None:
        """Tell how the Job is, if that is new.

        Args:
            found: as the API has it.
            declared: its CronJob's schedule.
        """
        state, at_ns = self._state(found)
        if state.raw == self.memory["said"]:
            return
        metadata, started = found["metadata"], found.get("status", {}).get("startTime")
        self.memory["said"] = state.raw
        slot = (metadata.get("annotations") or {}).get(_SLOT)
        about = {names.POD_NAMESPACE: metadata["namespace"], names.POD_JOB: metadata["name"]}
        self._source.run(
            self.workflow, self._key, state.name, at_ns, raw_state=state.raw, reason=state.reason,
            started_ns=_time_ns(started) if started else None, slot_ns=_time_ns(slot) if slot else None,
            error=self._error_of(state, found), declared=declared,
            facts={**about, names.POD_CRON_JOB: owner_of(found, "CronJob")},
        )  # fmt: skip

    def _error_of(self, state: State, found: Mapping[str, Any]) -> Mapping[str, str] | None:
        """What is worth saying of the run itself; that a container failed, its task says."""
        if state.name == "crashed":
            crash: Mapping[str, str] = self.memory["crash"]
            return crash
        failed = _condition(found, "Failed") if state.name == "timed_out" else None
        return _error(state.raw, str(failed.get("message") or "")) if failed else None

    def deleted(self, found: Mapping[str, Any], now_ns: int) -> None:
        """Somebody removed it while it ran."""
        at = found["metadata"].get("deletionTimestamp")
        state = self._states.of_run("DELETED")
        self._source.run(
            self.workflow, self._key, state.name, _time_ns(at) if at else now_ns, raw_state=state.raw, reason=state.reason
        )

    def gone(self, now_ns: int) -> None:
        """It is not there any more, and nobody knows how it ended."""
        state = self._states.of_run("GONE", is_over=True)
        self._source.run(self.workflow, self._key, state.name, now_ns, raw_state=state.raw, reason=state.reason)

    def _state(self, found: Mapping[str, Any]) -> tuple[State, int]:
        status, created = found.get("status", {}), found["metadata"]["creationTimestamp"]
        ended = _condition(found, "Complete", "Failed")
        if ended is not None:
            at = _time_ns(ended.get("lastTransitionTime") or status.get("completionTime") or created)
            if ended["type"] == "Complete":
                return self._states.of_run("Complete", is_over=True), at
            crash = self.memory["crash"] and ended.get("reason") == "BackoffLimitExceeded"
            return self._states.of_run("Crashed" if crash else str(ended.get("reason") or "Failed"), is_over=True), at
        if _condition(found, "Suspended") or found["spec"].get("suspend"):
            suspended = _condition(found, "Suspended") or {}
            return self._states.of_run("Suspended"), _time_ns(suspended.get("lastTransitionTime") or created)
        if not status.get("startTime"):
            return self._states.of_run("Created"), _time_ns(created)
        has_begun = status.get("ready") or status.get("succeeded") or status.get("failed")
        started_ns = _time_ns(status["startTime"])
        if not has_begun:
            return self._states.of_run("Started"), started_ns
        return self._states.of_run("Active"), self.memory["began"] or started_ns

    # -- pods ----------------------------------------------------------------------------------------------------------

    def tell_pods(self, pods: Iterable[Mapping[str, Any]]) -> None:
        """Tell what is new of its pods' containers; those that came first are the first attempts."""
        for pod in sorted(pods, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"])):
            instance, attempt = self._place(pod)
            statuses = pod.get("status", {})
            for container in (*(statuses.get("initContainerStatuses") or ()), *(statuses.get("containerStatuses") or ())):
                if container["name"] not in _sidecars(pod):
                    self._tell_container(pod, container, instance, attempt)

    def _place(self, pod: Mapping[str, Any]) -> tuple[str, int]:
        """(which of several parts it does, the how many-th pod that does it)."""
        known, uid, metadata = self.memory["pods"], pod["metadata"]["uid"], pod["metadata"]
        if uid not in known:
            index = (metadata.get("annotations") or {}).get(_INDEX, "")
            known[uid] = [index, 1 + sum(other[0] == index for other in known.values())]
        return known[uid][0], known[uid][1]

    def _tell_container(self, pod: Mapping[str, Any], container: Mapping[str, Any], instance: str, attempt: int) -> None:
        restarts = container.get("restartCount") or 0
        before = (container.get("lastState") or {}).get("terminated")
        if before:
            self._tell_end(pod, container["name"], before, instance, attempt + restarts - 1)
        now = container.get("state") or {}
        if now.get("terminated"):
            self._tell_end(pod, container["name"], now["terminated"], instance, attempt + restarts)
        elif now.get("running"):
            at_ns = _time_ns(now["running"]["startedAt"])
            self._tell_task(pod, container["name"], self._states.of_task("Running"), at_ns, instance, attempt + restarts, at_ns)
        elif pod["status"].get("phase") == "Failed":  # one before it failed
            at_ns = _time_ns(_last_end(pod) or pod["metadata"]["creationTimestamp"])
            self._tell_task(
                pod, container["name"], self._states.of_task("NeverStarted", is_over=True), at_ns, instance, attempt, None
            )
        elif now.get("waiting"):
            reason = str(now["waiting"].get("reason") or "Waiting")
            at_ns = _time_ns(pod["status"].get("startTime") or pod["metadata"]["creationTimestamp"])
            self._tell_task(pod, container["name"], self._states.of_task(reason), at_ns, instance, attempt + restarts, None)

    def _tell_end(self, pod: Mapping[str, Any], container: str, end: Mapping[str, Any], instance: str, attempt: int) -> None:
        code, reason = int(end.get("exitCode") or 0), str(end.get("reason") or "")
        if reason not in ("OOMKilled", "ContainerCannotRun", "DeadlineExceeded"):
            reason = "Killed" if code == _SIGKILL else "Completed" if code == 0 else "Error"
        if pod.get("status", {}).get("reason") == "Evicted":
            reason = "Evicted"
        state = self._states.of_task(reason, is_over=True)
        error = _error(reason, str(end.get("message") or "exit code %d" % code)) if state.name != "succeeded" else None
        self.memory["crash"] = error if state.name == "crashed" else None
        at = end.get("finishedAt") or pod["metadata"]["creationTimestamp"]
        started_ns = _time_ns(end["startedAt"]) if end.get("startedAt") else None
        facts = {names.PROCESS_EXIT_CODE: code}
        self._tell_task(pod, container, state, _time_ns(at), instance, attempt, started_ns, error, facts)

    def _tell_task(
        self, pod: Mapping[str, Any], container: str, state: State, at_ns: int, instance: str, attempt: int,
        started_ns: int | None, error: Mapping[str, str] | None = None, facts: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        this, said = "/".join((pod["metadata"]["uid"], container, str(attempt))), self.memory["tasks"]
        if said.get(this) in (state.raw, "ended"):
            return
        self.memory["began"] = min(filter(None, (self.memory["began"], started_ns)), default=None)
        said[this] = "ended" if state.name in TERMINAL else state.raw
        about = {names.POD_NAME: pod["metadata"]["name"], names.POD_NODE: pod.get("spec", {}).get("nodeName")}
        self._source.task(
            self.workflow, self._key, container, state.name, at_ns, instance=instance, raw_state=state.raw, reason=state.reason,
            attempt=attempt, started_ns=started_ns, error=error,
            facts={**about, **({"instance": instance} if instance else {}), **(facts or {})},
        )  # fmt: skip


def _condition(found: Mapping[str, Any], *types: str) -> Mapping[str, Any] | None:
    conditions = found.get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] in types and each["status"] == "True"), None)


def _sidecars(pod: Mapping[str, Any]) -> set[str]:
    """Containers that run beside the others, and end with them."""
    initial = pod.get("spec", {}).get("initContainers") or ()
    return {each["name"] for each in initial if each.get("restartPolicy") == "Always"}


def _last_end(pod: Mapping[str, Any]) -> str | None:
    statuses = pod.get("status", {})
    every = (*(statuses.get("initContainerStatuses") or ()), *(statuses.get("containerStatuses") or ()))
    ends = [each.get("state", {}).get("terminated") or {} for each in every]
    return max((str(end["finishedAt"]) for end in ends if end.get("finishedAt")), default=None)


def _error(kind: str, message: str) -> dict[str, str]:
    return {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: message}


def _time_ns(text: str) -> int:
    """Unix time of an RFC 3339 time."""
    at = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    return int(at.timestamp()) * 10**9 + at.microsecond * 1000
