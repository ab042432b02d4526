"""Environments that are measured: one for rota as users install it, one for each peer, pinned, all compiled beforehand.

They live in the user's cache folder and are made once; rota's own gets the wheel of this tree on every run.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rota-bench"
PEERS = {"opentelemetry": "OpenTelemetry", "sentry": "sentry-sdk", "logfire": "logfire"}
ORCHESTRATORS = {"prefect": "Prefect", "dagster": "Dagster", "dbos": "DBOS", "temporal": "Temporal"}
RECEIVERS = {"rotel": "rotel", "phoenix": "Phoenix"}
_PACKAGES = {
    "opentelemetry": "opentelemetry-sdk", "sentry": "sentry-sdk", "phoenix": "arize-phoenix", "temporal": "temporalio",
}  # fmt: skip
_UV = Path(sys.executable).with_name("uv")


def peer(name: str) -> str:
    """The interpreter of a peer's environment: exactly what ``bench/peers/<name>.txt`` pins."""
    return _pinned(name, TOP / "bench" / "peers" / f"{name}.txt")


def observed(system: str) -> str:
    """The interpreter of the environment in which a system is observed: what ``integrations/pins/<system>.txt`` pins."""
    return _pinned(f"observed-{system}", TOP / "integrations" / "pins" / f"{system}.txt")


def _pinned(name: str, pins: Path) -> str:
    folder = CACHE / "envs" / f"{name}-{_digest(sys.version, pins.read_text())}"
    done = folder / ".done"
    if not done.exists():
        _make(folder)
        _install(folder, "-r", str(pins))
        done.touch()
    return str(folder / "bin" / "python")


def rota() -> str:
    """The interpreter of an environment with nothing but this tree's wheel."""
    folder = CACHE / "envs" / f"rota-{_digest(sys.version)}"
    if not (folder / "bin" / "python").exists():
        _make(folder)
    with tempfile.TemporaryDirectory() as wheels:
        _quietly([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels])
        wheel = next(Path(wheels).glob("rota-*.whl"))
        _install(folder, "--no-deps", "--reinstall", str(wheel))
    return str(folder / "bin" / "python")


def version_of(name: str) -> str:
    """The pinned version of a peer's own package."""
    package = _PACKAGES.get(name, name)
    pins = (TOP / "bench" / "peers" / f"{name}.txt").read_text().splitlines()
    return next(line.partition("==")[2] for line in pins if line.startswith(package + "=="))


def _make(folder: Path) -> None:
    _quietly([str(_UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])


def _install(folder: Path, *what: str) -> None:
    python = str(folder / "bin" / "python")
    _quietly([str(_UV), "pip", "install", "--quiet", "--no-config", "--compile-bytecode", "--python", python, *what])


def _quietly(command: list[str]) -> None:
    """Run; raises CalledProcessError, after showing what the command said."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, cwd=TOP, env={"UV_SYSTEM_CERTS": "1", **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        done.check_returncode()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]
