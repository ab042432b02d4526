"""A Kubernetes API server, as far as Jobs, CronJobs and Pods are listed and watched: there is no cluster here.

Written from the API reference of 1.31 (`batch/v1`, `core/v1`) and "Kubernetes API Concepts" (resource versions,
chunks, watches, 410 Gone).
Nothing runs: a test says what pods do, and the Job's status follows as the Job controller would have it.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from standins.serving import Answering, serving

Object = dict[str, Any]


def now() -> str:
    """RFC 3339, as the API writes it: in seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Cluster:
    """Objects by their path and name, and all that happened to them since ``kept_from``."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[str, dict[str, Object]] = {"jobs": {}, "pods": {}, "cronjobs": {}}
        self.events: list[tuple[int, str, str, str]] = []  # (version, kind, ADDED…, the object as it was then)
        self.kept_from, self.page, self.busy, self.token = 0, 500, 0, ""

    def changed(self, kind: str, found: Object, what: str = "MODIFIED") -> Object:
        """Store an object, and tell those who watch."""
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        of_kind = self.objects[kind]
        of_kind[found["metadata"]["name"]] = found
        if what == "DELETED":
            del of_kind[found["metadata"]["name"]]
        self.events.append((self.version, kind, what, json.dumps(found)))
        return found

    def forget(self) -> None:
        """What happened until now is not kept any more, as after some minutes."""
        self.kept_from = self.version

    def listed(self, kind: str, query: dict[str, str]) -> Object:
        """A chunk of a list."""
        selector, _, wanted = query.get("labelSelector", "").partition("=")
        found = [
            each
            for each in self.objects[kind].values()
            if not selector
            or each["metadata"].get("labels", {}).get(selector) == (wanted or each["metadata"]["labels"].get(selector))
        ]
        start, size = int(query.get("continue", "0")), min(self.page, int(query.get("limit", "500")))
        metadata = {"resourceVersion": str(self.version)} | ({"continue": str(start + size)} if len(found) > start + size else {})
        return {"kind": "List", "metadata": metadata, "items": found[start : start + size]}

    def watched(self, kind: str, query: dict[str, str]) -> list[str] | None:
        """Events since a version, one a line; None: it is too old."""
        since = int(query["resourceVersion"])
        if since < self.kept_from:
            return None
        time.sleep(0.01)  # a real one holds the request for timeoutSeconds
        found = [
            json.dumps({"type": what, "object": json.loads(text)})
            for version, of, what, text in self.events
            if of == kind and version > since
        ]
        mark = {"kind": "Job", "metadata": {"resourceVersion": str(self.version)}}
        return [*found, json.dumps({"type": "BOOKMARK", "object": mark})]


class Played:
    """One Job of a CronJob, and what its pods do."""

    def __init__(
        self, cluster: Cluster, cron_job: str, backoff: int = 0, parts: int = 1, steps: tuple[str, ...] = ("extract", "load")
    ) -> None:
        self.cluster, self.backoff, self.parts, self.steps = cluster, backoff, parts, steps
        cluster.changed(
            "cronjobs",
            {"metadata": {"name": cron_job, "namespace": "etl"}, "spec": {"schedule": "0 2 * * *", "timeZone": "Europe/Berlin"}},
            "ADDED",
        )
        self.uid, name = str(uuid.uuid4()), f"{cron_job}-29374680"
        metadata = {
            "name": name, "namespace": "etl", "uid": self.uid, "creationTimestamp": now(),
            "annotations": {"batch.kubernetes.io/cronjob-scheduled-timestamp": "2026-11-01T01:00:00Z"},
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob", "name": cron_job, "uid": "1", "controller": True}],
        }  # fmt: skip
        spec = {"backoffLimit": backoff, "completions": parts, "parallelism": parts}
        self.job = cluster.changed("jobs", {"kind": "Job", "metadata": metadata, "spec": spec, "status": {}}, "ADDED")
        self.pods: list[Object] = []

    def status(self, **changes: Any) -> None:
        """The Job's status has changed."""
        self.job["status"] |= changes
        self.cluster.changed("jobs", self.job)

    def condition(self, kind: str, reason: str = "", message: str = "", status: str = "True") -> None:
        """One of its conditions."""
        others = [each for each in self.job["status"].get("conditions", ()) if each["type"] != kind]
        this = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now()}
        self.status(conditions=[*others, this])

    def pod(self, index: int | None = None) -> Object:
        """The controller makes one: the first steps are init containers, the last is the container."""
        name = f"{self.job['metadata']['name']}-{len(self.pods):05d}"
        waiting = [{"name": step, "restartCount": 0, "state": {"waiting": {"reason": "PodInitializing"}}} for step in self.steps]
        made: Object = {
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": "etl", "uid": str(uuid.uuid4()), "creationTimestamp": now(),
                "labels": {"controller-uid": self.uid},
                "annotations": {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)},
            },
            "spec": {"nodeName": "node-1"},
            "status": {
                "phase": "Pending", "startTime": now(),
                "initContainerStatuses": waiting[:-1], "containerStatuses": waiting[-1:]},
        }  # fmt: skip
        self.pods.append(self.cluster.changed("pods", made, "ADDED"))
        self.status(startTime=self.job["status"].get("startTime") or now(), active=1)
        return made

    def container(self, step: str, pod: Object | None = None) -> Object:
        """Its status in the last pod, or in that one."""
        status = (pod or self.pods[-1])["status"]
        both = (*status["initContainerStatuses"], *status["containerStatuses"])
        found: Object = next(each for each in both if each["name"] == step)
        return found

    def begin(self, step: str, pod: Object | None = None) -> None:
        """A container starts."""
        pod = pod or self.pods[-1]
        self.container(step, pod)["state"] = {"running": {"startedAt": now()}}
        pod["status"]["phase"] = "Running"
        self.cluster.changed("pods", pod)
        self.status(ready=1)

    def end(self, step: str, code: int = 0, reason: str = "", pod: Object | None = None) -> None:
        """A container ends, and with a failure, or as the last, its pod; as the last pod, the Job."""
        pod = pod or self.pods[-1]
        container = self.container(step, pod)
        began = container["state"].get("running", {}).get("startedAt", now())
        reason = reason or ("Error" if code else "Completed")
        container["state"] = {"terminated": {"exitCode": code, "reason": reason, "startedAt": began, "finishedAt": now()}}
        is_last = step == self.steps[-1]
        pod["status"]["phase"] = "Failed" if code else "Succeeded" if is_last else pod["status"]["phase"]
        self.cluster.changed("pods", pod)
        if code:
            failed = self.job["status"].get("failed", 0) + 1
            self.status(failed=failed, active=0, ready=0)
            if failed > self.backoff:
                self.condition("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
        elif is_last:
            self.status(succeeded=self.job["status"].get("succeeded", 0) + 1)
            if self.job["status"]["succeeded"] == self.parts:
                self.status(completionTime=now(), active=0, ready=0)
                self.condition("Complete")

    def delete(self) -> None:
        """Somebody does, and its pods go with it."""
        for pod in self.pods:
            self.cluster.changed("pods", pod, "DELETED")
        self.job["metadata"]["deletionTimestamp"] = now()
        self.cluster.changed("jobs", self.job, "DELETED")


@contextmanager
def serve(cluster: Cluster) -> Iterator[str]:
    """Its URL, for the length of a block."""

    class Handler(Answering):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            kind = parts.path.rpartition("/")[2]
            if cluster.token and self.headers.get("Authorization") != "Bearer " + cluster.token:
                return self.answer(401, {"kind": "Status", "code": 401})
            if cluster.busy:
                cluster.busy -= 1
                return self.answer(429, {}, {"Retry-After": "7"})
            if "watch" not in query:
                return self.answer(200, cluster.listed(kind, query))
            events = cluster.watched(kind, query)
            gone = {
                "type": "ERROR",
                "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"},
            }
            lines = [json.dumps(gone)] if events is None else events
            return self.answer(200, "".join(line + "\n" for line in lines).encode())

    with serving(Handler) as url:
        yield url
