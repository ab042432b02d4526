"""What the environment of a pod tells."""

from __future__ import annotations

import pytest

from rota import _kubernetes
from rota.wire import names

MINUTES = 29_000_000  # Unix time, in 2025


def test_what_the_downward_api_tells_comes_first():
    """A manifest names its variables with or without a prefix."""
    environment = {
        "HOSTNAME": "node-7", "POD_NAME": "nightly-abc", "MY_POD_NAMESPACE": "etl", "K8S_NODE_NAME": "node-7",
        "POD_UID": "5f0e", "CONTAINER_NAME": "job",
    }  # fmt: skip
    assert _kubernetes.attributes(environment) == {
        names.POD_NAME: "nightly-abc", names.POD_NAMESPACE: "etl", names.POD_NODE: "node-7", names.POD_UID: "5f0e",
        names.POD_CONTAINER: "job",
    }  # fmt: skip


def test_a_pod_is_called_as_its_host_when_kubernetes_made_the_name(tmp_path, monkeypatch):
    """Else it may be the node's name; the namespace is in the file of the service account."""
    (tmp_path / "namespace").write_text("etl\n")
    monkeypatch.setattr(_kubernetes, "NAMESPACE_FILE", str(tmp_path / "namespace"))
    assert _kubernetes.attributes({"HOSTNAME": "load-x7k2d"}) == {names.POD_NAME: "load-x7k2d", names.POD_NAMESPACE: "etl"}
    assert names.POD_NAME not in _kubernetes.attributes({"HOSTNAME": "worker-1"})
    assert names.POD_NAME not in _kubernetes.attributes({"HOSTNAME": "pool-x7k2d", "NODE_NAME": "pool-x7k2d"})


@pytest.mark.parametrize(
    ("pod", "told"),
    [
        (f"etl-nightly-{MINUTES - 3}-x7k2d", (f"etl-nightly-{MINUTES - 3}", "etl-nightly")),
        (f"etl-nightly-{MINUTES - 30 * 24 * 60}-x7k2d", ("", "")),  # a number that is not of these days
        ("etl-nightly-12345678-x7k2d", ("", "")),
        ("web-5d4f8c7b9d-x7k2d", ("", "")),  # of a deployment
        (f"etl-nightly-{MINUTES}-abcde", ("", "")),  # no suffix of Kubernetes has an a or an e
        (f"etl-nightly-{MINUTES}", ("", "")),
        (f"{MINUTES}-x7k2d", ("", "")),
        ("", ("", "")),
    ],
)
def test_the_cron_job_is_told_when_it_is_certain(pod, told):
    """Its job is called by the minute that it was due in, which was lately."""
    assert _kubernetes.jobs_of(pod, MINUTES) == told
