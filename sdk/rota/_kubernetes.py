"""Where a run runs in Kubernetes, as the pod's environment says. Loaded at the start, and in a pod only."""

from __future__ import annotations

import time

from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping

NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_PREFIXES = ("", "K8S_", "MY_")  # of the names that manifests give to what the downward API tells
_SUFFIX = frozenset("bcdfghjklmnpqrstvwxz2456789")  # what Kubernetes makes the ends of names of
_DAY = 24 * 60  # minutes


def attributes(environment: Mapping[str, str]) -> dict[str, object]:
    """What is known of the pod; names without a value are left out."""
    node, host = _told(environment, "NODE_NAME"), environment.get("HOSTNAME", "")
    # In the network of its node, a pod is called as the node.
    pod = _told(environment, "POD_NAME") or (host if host != node and is_generated(host) else "")
    job, cron_job = jobs_of(pod, int(time.time()) // 60)
    found = {
        names.POD_NAME: pod,
        names.POD_NAMESPACE: _told(environment, "POD_NAMESPACE") or _namespace(),
        names.POD_UID: _told(environment, "POD_UID"),
        names.POD_CONTAINER: _told(environment, "CONTAINER_NAME"),
        names.POD_NODE: node if node != pod else "",
        names.POD_JOB: job,
        names.POD_CRON_JOB: cron_job,
    }
    return {name: told for name, told in found.items() if told}


def is_generated(name: str) -> bool:
    """Whether Kubernetes made the name for one pod of several: it ends in ``-`` and five letters of its own choice."""
    before, _, suffix = name.rpartition("-")
    return bool(before) and len(suffix) == 5 and _SUFFIX.issuperset(suffix)


def jobs_of(pod: str, now_minutes: int) -> tuple[str, str]:
    """(job, cron job) of a pod of a cron job: its job is called by the minute (Unix time) it was due. Else empty: not certain."""
    if not is_generated(pod):
        return "", ""
    job = pod[:-6]
    cron_job, _, due = job.rpartition("-")
    if not cron_job or not (due.isascii() and due.isdigit()) or not -_DAY < now_minutes - int(due) < 7 * _DAY:
        return "", ""
    return job, cron_job


def _told(environment: Mapping[str, str], name: str) -> str:
    return next((environment[prefix + name] for prefix in _PREFIXES if environment.get(prefix + name)), "")


def _namespace() -> str:
    try:
        with open(NAMESPACE_FILE, encoding="utf-8") as file:
            return file.read(256).strip()
    except (OSError, ValueError):
        return ""
