"""What the texts of /proc tell of host, cgroup, container and pod. The texts are those of real systems, shortened."""

from __future__ import annotations

import os

import pytest

from rota import _host
from rota.wire import names

ID = "3726184226f5d3147c25fdeab5b60097e378e8a720503a5e19ecfdf29f869860"
OTHER = "2ac4c84cb0d3c3beb04beeef6ccf71c17b5fdd0252ce3a2b66bc2fdd0aaa1814"
POD = "e50f2933-b36b-4e3b-89b1-280707f7bc53"
POD_SLICE = "kubepods-besteffort-pode50f2933_b36b_4e3b_89b1_280707f7bc53.slice"

CGROUPS = {
    "Docker, v1": f"13:name=systemd:/docker/{ID}\n12:pids:/docker/{ID}\n1:cpuset:/docker/{ID}\n",
    "Docker, v1, systemd": f"10:devices:/system.slice/docker-{ID}.scope\n1:name=systemd:/system.slice/docker-{ID}.scope\n",
    "Docker, v2, seen from the host": f"0::/system.slice/docker-{ID}.scope\n",
    "Docker in Docker": f"5:memory:/docker/{OTHER}/docker/{ID}\n",
    "systemd in Docker": f"0::/system.slice/docker-{ID}.scope/system.slice/cron.service\n",
    "containerd, v1": f"11:perf_event:/kubepods/besteffort/pod{POD}/{ID}\n1:name=systemd:/kubepods/besteffort/pod{POD}/{ID}\n",
    "containerd, systemd": f"0::/kubepods.slice/kubepods-besteffort.slice/{POD_SLICE}/cri-containerd-{ID}.scope\n",
    "containerd, systemd's names in cgroupfs": f"4:cpu:/system.slice/containerd.service/{POD_SLICE}:cri-containerd:{ID}\n",
    "CRI-O": f"0::/kubepods.slice/kubepods-besteffort.slice/{POD_SLICE}/crio-{ID}.scope/container\n",
    "podman": f"0::/machine.slice/libpod-{ID}.scope/container\n",
    "podman, no root": f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope\n",
    "ECS": f"9:perf_event:/ecs/etl/5a0d5ceddf6c44c1928d367a815d890f/{ID}\n",
}
HOSTS = {
    "a namespace": "0::/\n",
    "cron": "0::/system.slice/cron.service\n",
    "a timer, hybrid": "9:name=systemd:/system.slice/backup.service\n4:memory:/system.slice\n0::/system.slice/backup.service\n",
    "a session": "0::/user.slice/user-1000.slice/session-3.scope\n",
    "podman's watcher": f"0::/machine.slice/libpod-conmon-{ID}.scope\n",
    "nothing": "",
}
_OVERLAY = "735 630 0:60 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/x/l/A,upperdir=/var/lib/x/" + OTHER + "/diff\n"
DOCKER = _OVERLAY + "".join(
    f"{number} 735 254:1 /docker/containers/{ID}/{name} /etc/{name} rw,relatime - ext4 /dev/vda1 rw\n"
    for number, name in enumerate(("resolv.conf", "hostname", "hosts"))
)
PODMAN = (
    _OVERLAY
    + f"1370 1374 0:104 /containers/overlay-containers/{OTHER}/userdata/resolv.conf /etc/resolv.conf rw - tmpfs tmpfs rw\n"
    + f"1371 1377 0:104 /containers/overlay-containers/{ID}/userdata/.containerenv /run/.containerenv rw - tmpfs tmpfs rw\n"
)
_KUBELET = (
    f"10314 1 252:4 /var/lib/kubelet/pods/{POD}/etc-hosts /etc/hosts rw,relatime - xfs /dev/vda4 rw\n"
    f"10315 1 252:4 /var/lib/kubelet/pods/{POD}/containers/nightly/3404dd90 /dev/termination-log rw - xfs /dev/vda4 rw\n"
)
CRIO = (
    f"10312 1 0:25 /containers/storage/overlay-containers/{OTHER}/userdata/hostname /etc/hostname rw master:15 - tmpfs tmpfs rw\n"
    + _KUBELET
    + f"10316 1 0:25 /containers/storage/overlay-containers/{ID}/userdata/run/secrets /run/secrets rw - tmpfs tmpfs rw\n"
)
CONTAINERD = _OVERLAY + _KUBELET + (
    f"2784 2775 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{OTHER}/hostname /etc/hostname rw - ext4 /dev/a rw\n"
)  # fmt: skip


@pytest.mark.parametrize("text", CGROUPS.values(), ids=CGROUPS)
def test_the_container_is_read_from_the_cgroup(text):
    """The innermost one, by its whole id, as each runtime writes it."""
    assert _host.container_id(text) == ID


@pytest.mark.parametrize("text", HOSTS.values(), ids=HOSTS)
def test_a_cgroup_of_the_host_is_no_container(text):
    """Services, timers, sessions, and the process that only watches a container."""
    assert _host.container_id(text) == ""


@pytest.mark.parametrize("mounts", [DOCKER, PODMAN, CRIO], ids=["Docker", "podman", "CRI-O"])
def test_in_a_cgroup_namespace_the_mounts_tell_the_container(mounts):
    """Its own id, not that of a layer or of the pod's first container."""
    assert _host.mounted_container_id(mounts) == ID


def test_what_containerd_mounts_does_not_tell_the_container():
    """Only the sandbox's id is there, which is another thing; the pod and the container's name are certain."""
    assert _host.mounted_container_id(CONTAINERD) == ""
    assert _host.mounted_pod(CONTAINERD) == _host.mounted_pod(CRIO) == (POD, "nightly")
    assert _host.mounted_pod(DOCKER) == ("", "")


def test_a_torn_text_tells_nothing():
    """Every beginning of a text is read without an error, and makes no other id."""
    cgroups, mounts = CGROUPS["Docker, v1"], CRIO
    assert {_host.container_id(cgroups[:end]) for end in range(len(cgroups))} == {"", ID}
    assert {_host.mounted_container_id(mounts[:end]) for end in range(len(mounts))} == {"", ID}
    assert {_host.mounted_pod(mounts[:end]) for end in range(len(mounts))} == {("", ""), (POD, "nightly")}


def system(root, **files):
    """A folder that has these files; ``__`` in a name is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("machine_id", "machine-id")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {name: told for name, told in _host.attributes(str(root)).items() if told is not None}


def test_a_host(tmp_path):
    """Its id, the cgroup, and the tightest limit among the cgroup and those around it."""
    group = "sys__fs__cgroup__system.slice"
    files = {
        "proc__self__cgroup": HOSTS["cron"], "proc__self__mountinfo": DOCKER, "etc__machine_id": "a" * 32 + "\n",
        f"{group}__memory.max": "1073741824\n", f"{group}__cpu.max": "max 100000\n",
        f"{group}__cron.service__memory.max": "max\n", f"{group}__cron.service__cpu.max": "50000 100000\n",
    }  # fmt: skip
    assert system(tmp_path, **files) == {
        names.HOST_ID: "a" * 32, names.CGROUP: "0::/system.slice/cron.service",
        names.CPU_LIMIT: 0.5, names.MEMORY_LIMIT: 1 << 30,
    }  # fmt: skip


def test_a_container(tmp_path):
    """Its id and its limits, and no host: a machine id in there is the image's."""
    files = {
        "proc__self__cgroup": "0::/\n", "proc__self__mountinfo": DOCKER, "etc__machine_id": "a" * 32 + "\n",
        "sys__fs__cgroup__memory.max": "268435456\n", "sys__fs__cgroup__cpu.max": "150000 100000\n",
    }  # fmt: skip
    assert system(tmp_path, **files) == {
        names.CGROUP: "0::/", names.CONTAINER_ID: ID, names.CPU_LIMIT: 1.5, names.MEMORY_LIMIT: 1 << 28,
    }  # fmt: skip


def test_a_pod(tmp_path):
    """Of containerd: the pod and the container's name, without the environment's help."""
    told = system(tmp_path, proc__self__cgroup="0::/\n", proc__self__mountinfo=CONTAINERD, etc__machine_id="a" * 32)
    assert told == {names.CGROUP: "0::/", names.POD_UID: POD, names.POD_CONTAINER: "nightly"}


def test_a_system_that_tells_nothing(tmp_path):
    """Other systems, and files that say something else, make no attribute and no error."""
    assert system(tmp_path) == {}
    assert system(tmp_path, etc__machine_id="uninitialized\n") == {}


def test_reading_waits_for_nobody(tmp_path):
    """A pipe in the place of a file is left alone, as is a folder."""
    os.mkfifo(tmp_path / "pipe")
    assert _host.read(str(tmp_path / "pipe")) == _host.read(str(tmp_path)) == _host.read("a\0b") == ""


def test_a_file_on_another_machine_is_known():
    """By its device, from the text of mountinfo; a device that it does not have is of this machine."""
    mounts = (
        "30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "41 30 0:45 / /home rw,relatime shared:2 - nfs4 box:/home rw,vers=4.2\n"
        "42 30 0:46 / /mnt/s3 rw - fuse.s3fs s3fs rw\n43 30 0:47 / /tmp rw - tmpfs tmpfs rw\n"
    )
    told = [_host.is_remote(os.makedev(0, minor), mounts) for minor in (45, 46, 47, 99)]
    assert told == [True, True, False, False]
