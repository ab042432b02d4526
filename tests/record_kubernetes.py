"""What a real cluster answers to `rota observe kubernetes` while CronJobs' Jobs do the contract's scenarios there.

    kubectl proxy --port 8001 &
    PYTHONPATH=tests python tests/record_kubernetes.py http://127.0.0.1:8001 busybox:latest

Kept in ``integration/observers/recordings/kubernetes``, a scenario a file. Each has a namespace of its own, deleted then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from collectors import clean_environment
from orchestrators import SOURCES
from standins.recorded import Record, recording

RECORDED = Path(__file__).parent / "integration" / "observers" / "recordings" / "kubernetes"
OBSERVE = [sys.executable, "-m", "rota", "observe", "kubernetes", "--once"]
WORKS, FAILS, LASTS = "sleep 1", "sleep 1; exit 1", "sleep 60"
EATS = "a=x; while :; do a=$a$a; done"
FIRST_FAILS = "sleep 1; test -e /shared/tried || { touch /shared/tried; exit 1; }"
STEPS = {  # extract, load
    "success": (WORKS, WORKS),
    "failure": (WORKS, FAILS),
    "retry": (FIRST_FAILS, WORKS),
    "upstream": (FAILS, WORKS),
    "cancel": (LASTS, WORKS),
    "killed": (EATS, WORKS),
    "schedule": (WORKS, WORKS),
    "restarts": (WORKS, FIRST_FAILS),  # in the same pod
    "deadline": (WORKS, LASTS),
}
MORE = {
    "retry": {"backoffLimit": 1},
    "restarts": {"backoffLimit": 2},
    "deadline": {"activeDeadlineSeconds": 5},
}


class Recorded:
    """One scenario in a cluster.

    Args:
        url: of its API.
        image: with a shell.
        scenario: its name.
    """

    def __init__(self, url: str, image: str, scenario: str) -> None:
        self.scenario, self.looks, self.records = scenario, 0, list[Record]()
        self._namespace = f"rota-{scenario}"
        self._api = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._url = url
        self._version = "v1" if self._api.get("/apis/batch/v1/cronjobs").status_code == 200 else "v1beta1"
        self._spec = _job_spec(scenario, image)

    def record(self) -> dict[str, Any]:
        """Have it done, and look on."""
        self._api.post("/api/v1/namespaces", json={"metadata": {"name": self._namespace}}).raise_for_status()
        due = datetime.now(UTC) + timedelta(seconds=75)
        schedule = f"{due.minute} {due.hour} * * *" if self.scenario == "schedule" else "0 2 * * *"
        spec = {"schedule": schedule, "jobTemplate": {"spec": self._spec}}
        cron_job = self._post(f"/apis/batch/{self._version}", "cronjobs", {"metadata": {"name": self.scenario}, "spec": spec})
        moved = (
            {}
            if self._version == "v1"
            else {f"/apis/batch/v1/namespaces/{self._namespace}/cronjobs": self._path("v1beta1", "cronjobs")}
        )
        with tempfile.TemporaryDirectory() as home, recording(self._url, self.records, moved) as proxy:
            self._look(proxy, home)
            if self.scenario == "schedule":
                time.sleep((due.replace(second=0) - datetime.now(UTC)).total_seconds())
            else:
                self._begin(cron_job)
            while not self._is_over():
                self._look(proxy, home)
            self._look(proxy, home)
        self._api.delete(f"/api/v1/namespaces/{self._namespace}")
        return {
            "schedule": schedule,
            "server": self._api.get("/version").json()["gitVersion"],
            "looks": self.looks,
            "records": self.records,
        }

    def _begin(self, cron_job: dict[str, Any]) -> None:
        """As ``kubectl create job --from=cronjob/…``."""
        owner = {
            "apiVersion": f"batch/{self._version}", "kind": "CronJob", "controller": True,
            "name": self.scenario, "uid": cron_job["metadata"]["uid"],
        }  # fmt: skip
        about = {
            "name": f"{self.scenario}-1",
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
            "ownerReferences": [owner],
        }
        self._post("/apis/batch/v1", "jobs", {"metadata": about, "spec": self._spec})

    def _is_over(self) -> bool:
        """Of a Job that is to be deleted: it runs, and is deleted then."""
        jobs = self._api.get(self._path("v1", "jobs")).json()["items"]
        mine = [job for job in jobs if job["metadata"]["name"].startswith(f"{self.scenario}-")]
        if self.scenario == "cancel" and mine and self.looks > 4:
            path = f"{self._path('v1', 'jobs')}/{self.scenario}-1?propagationPolicy=Background"
            self._api.delete(path).raise_for_status()
            return True
        return any(each["status"] == "True" for job in mine for each in job["status"].get("conditions", ()))

    def _look(self, proxy: str, home: str) -> None:
        nobody = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", "ROTA_ENDPOINT": "http://127.0.0.1:1", "ROTA_HOME": home}
        command = [*OBSERVE, "--server", proxy, "--namespace", self._namespace]
        subprocess.run(command, env=clean_environment(PYTHONPATH=SOURCES, **nobody), check=True, timeout=60)
        self.looks += 1

    def _path(self, version: str, kind: str) -> str:
        return f"/apis/batch/{version}/namespaces/{self._namespace}/{kind}"

    def _post(self, group: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
        answer = self._api.post(f"{group}/namespaces/{self._namespace}/{kind}", json=content)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made


def _job_spec(scenario: str, image: str) -> dict[str, Any]:
    extract, load = (
        {
            "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-c", command],
            "resources": {"limits": {"memory": "32Mi"}}, "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
        }
        for name, command in zip(("extract", "load"), STEPS[scenario], strict=True)
    )  # fmt: skip
    shared = {"name": "shared", "hostPath": {"path": f"/tmp/rota-recorded-{time.time_ns()}", "type": "DirectoryOrCreate"}}
    pod = {
        "restartPolicy": "OnFailure" if scenario == "restarts" else "Never", "tolerations": [{"operator": "Exists"}],
        "hostNetwork": True, "automountServiceAccountToken": False, "initContainers": [extract], "containers": [load],
        "volumes": [shared], "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    return {"backoffLimit": 0, **MORE.get(scenario, {}), "template": {"spec": pod}}


def main(url: str, image: str, scenarios: list[str]) -> None:
    """All of them."""
    RECORDED.mkdir(exist_ok=True)
    for scenario in scenarios or STEPS:
        told = Recorded(url, image, scenario).record()
        (RECORDED / f"{scenario}.json").write_text(json.dumps(told, indent=1) + "\n")
        print(scenario, told["looks"], "looks")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: record_kubernetes.py URL IMAGE [{'|'.join(STEPS)} ...]; the URL is that of `kubectl proxy`")
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
