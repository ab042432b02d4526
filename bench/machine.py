"""What the figures were taken on, as far as it bears on them: nothing that names the machine or its owner."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

from bench import environments, processes

_PACKAGES = ("duckdb", "pyarrow", "uvicorn")
_OTHERS = (*environments.PEERS, *environments.RECEIVERS, *environments.ORCHESTRATORS)


def described() -> dict[str, Any]:
    """CPU, cores, memory, kernel, Python, the disk's sync, and the versions measured."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 1e6, 1),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "fdatasync_ms": round(_fdatasync_seconds() * 1000, 3),
        "load_before": round(os.getloadavg()[0], 2),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES}
        | {name: environments.version_of(name) for name in _OTHERS},
    }


def _field(file: Path, name: str) -> str:
    lines = (line.partition(":") for line in file.read_text(encoding="utf-8").splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == name), "unknown")


def _fdatasync_seconds(times: int = 50) -> float:
    """The median of appending 4 KiB and syncing it, where the collectors of these measurements keep their journals."""
    taken = []
    with processes.scratch() as work, (work / "sync").open("wb", buffering=0) as file:
        for _ in range(times):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)
