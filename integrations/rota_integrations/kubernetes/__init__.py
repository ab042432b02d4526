"""Kubernetes, from outside: ``rota observe kubernetes`` looks at the Jobs that CronJobs make, and at their pods.

Seen: each Job is a run of the workflow ``namespace/cronjob``, with the time it was due; the containers of its pods are tasks,
further pods and restarts their attempts; exit codes, OOM kills, deadlines, suspension, deletion; schedules.

Written from the API reference of Kubernetes 1.31, and tested with what a real 1.20 answered and against a stand-in for what came
since; an older server than 1.21 has no ``batch/v1`` CronJobs.
"""

from __future__ import annotations

import argparse
import time
import urllib.error
from typing import Any, Iterator, Mapping

from rota.foreign import Source
from rota.wire import names
from rota_integrations.following import Seldom, zone
from rota_integrations.kubernetes.cluster import Cluster, Gone, of_this_pod
from rota_integrations.kubernetes.jobs import Job, owner_of
from rota_integrations.states import table_of
from rota_integrations.web import address

_OLD_SECONDS = 60.0  # how long what CronJobs there are is believed
_JOBS, _PODS, _CRON_JOBS = "/apis/batch/v1/%sjobs", "/api/v1/%spods", "/apis/batch/v1/%scronjobs"
_OF_JOBS = {
    "labelSelector": "controller-uid"
}  # the older of two labels that the Job controller gives to its pods; both are there


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which cluster, and what of it."""
    where = "of the API: that of `kubectl proxy`; left out in a pod: its own cluster"
    parser.add_argument("--server", metavar="URL", type=address("http://127.0.0.1:8001"), help=where)
    parser.add_argument("--namespace", action="append", metavar="NAME", help="one namespace; may be repeated. Else all")
    parser.add_argument("--jobs", action="store_true", help="Jobs that no CronJob made, too: each a workflow of its name")
    parser.add_argument(
        "--tz", type=zone, default="UTC", metavar="ZONE", help="of CronJobs without timeZone: that of the controller (UTC)"
    )


def follower(options: argparse.Namespace) -> Follower:
    """Looks at the cluster that these options name. Raises UsageError."""
    cluster = Cluster(options.server) if options.server else of_this_pod()
    return Follower(cluster, options.namespace or [""], options.jobs, options.tz)


class Follower:
    """Looks at Jobs.

    Args:
        cluster: asks the API.
        namespaces: names; "": all of them.
        with_others: Jobs that are of no CronJob, too.
        zone: of schedules that name none.
    """

    def __init__(self, cluster: Cluster, namespaces: list[str], with_others: bool, zone: str) -> None:
        self.where = " ".join((cluster.url, *sorted(namespaces)))
        self._cluster, self._namespaces, self._with_others, self._zone = cluster, namespaces, with_others, zone
        self._source, self._states = Source("kubernetes"), table_of("kubernetes")
        self._cron_jobs = Seldom(self._read_cron_jobs, _OLD_SECONDS)

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new.

        Args:
            memory: by namespace, the ``version`` up to which its Jobs were seen, by id those that are ``open``, and those
                that are ``over`` and still there: they change again, when a limit of the history deletes them at the latest.

        Raises:
            urllib.error.HTTPError: the API refuses.
            OSError: it does not answer.
        """
        for namespace in self._namespaces:
            known = memory.setdefault(namespace, {"version": "", "open": {}})
            known.setdefault("over", {})
            changes = list(self._changes(namespace, known))
            self._look_at_pods(namespace, known["open"])
            for kind, found in changes:
                self._changed(kind, found, known)

    def schedules(self) -> Mapping[str, Mapping[str, str]]:
        """Those of the CronJobs."""
        return self._cron_jobs()

    def _changes(self, namespace: str, known: dict[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What happened to Jobs since the last look, or, when nobody knows that any more, how they are."""
        path = _JOBS % _within(namespace)
        if known["version"]:
            try:
                for kind, found, version in self._cluster.watch(path, known["version"]):
                    known["version"] = version
                    if kind != "BOOKMARK":
                        yield kind, found
                return
            except Gone:  # too long ago: the API keeps some minutes
                pass
        jobs, known["version"] = self._cluster.listed(path)
        here = {job["metadata"]["uid"] for job in jobs}
        known["over"] = {uid: version for uid, version in known["over"].items() if uid in here}
        for uid in [uid for uid in known["open"] if uid not in here]:
            self._job(known["open"].pop(uid)).gone(time.time_ns())
        for job in jobs:
            yield "ADDED", job

    def _changed(self, kind: str, found: Mapping[str, Any], known: dict[str, Any]) -> None:
        uid, owner = found["metadata"]["uid"], owner_of(found, "CronJob")
        still_open, over = known["open"], known["over"]
        if uid in over:
            if kind == "DELETED":
                del over[uid]
            return
        if owner is None and not self._with_others:
            return
        namespace = found["metadata"]["namespace"]
        job = self._job(
            still_open.get(uid) or {"key": [uid], "workflow": "/".join((namespace, owner or found["metadata"]["name"]))}
        )
        declared = self._cron_jobs().get(job.workflow, {})
        is_over = job.is_over(found)
        if is_over or kind == "DELETED":  # how its pods ended says how it did
            job.tell_pods(self._pods_of(namespace, uid))
        job.tell(found, declared)
        if kind == "DELETED" and not is_over:
            job.deleted(found, time.time_ns())
        still_open.pop(uid, None)
        if kind == "DELETED":
            return
        if is_over:
            over[uid] = found["metadata"]["resourceVersion"]
        else:
            still_open[uid] = job.memory

    def _look_at_pods(self, namespace: str, still_open: dict[str, Any]) -> None:
        if not still_open:
            return
        pods: dict[str, list[Mapping[str, Any]]] = {}
        for pod in self._cluster.listed(_PODS % _within(namespace), _OF_JOBS)[0]:
            pods.setdefault(pod["metadata"]["labels"]["controller-uid"], []).append(pod)
        for uid, known in still_open.items():
            self._job(known).tell_pods(pods.get(uid, ()))

    def _pods_of(self, namespace: str, uid: str) -> list[Mapping[str, Any]]:
        return self._cluster.listed(_PODS % _within(namespace), {"labelSelector": "controller-uid=" + uid})[0]

    def _job(self, memory: dict[str, Any]) -> Job:
        return Job(self._source, self._states, memory)

    def _read_cron_jobs(self) -> dict[str, Mapping[str, str]]:
        """By workflow, what its CronJob declares; one that is suspended declares nothing."""
        found: dict[str, Mapping[str, str]] = {}
        for namespace in self._namespaces:
            for each in self._listed_cron_jobs(namespace):
                spec, metadata = each["spec"], each["metadata"]
                declared = {names.SCHEDULE_SPEC: spec["schedule"], names.SCHEDULE_TZ: spec.get("timeZone") or self._zone}
                found["/".join((metadata["namespace"], metadata["name"]))] = {} if spec.get("suspend") else declared
        return found

    def _listed_cron_jobs(self, namespace: str) -> list[Mapping[str, Any]]:
        """As the API has them. Raises OSError, which says so, where it is too old to have them."""
        try:
            return self._cluster.listed(_CRON_JOBS % _within(namespace))[0]
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise OSError("this server has no CronJobs of batch/v1: Kubernetes 1.21 or newer has") from error
            raise


def _within(namespace: str) -> str:
    return "namespaces/%s/" % namespace if namespace else ""
