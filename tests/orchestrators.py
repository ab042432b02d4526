"""Other systems, each in an environment of its own: exactly what ``integrations/pins/<system>.txt`` pins. Made once, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

TOP = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rota-tests"
SOURCES = os.pathsep.join(str(TOP / folder) for folder in ("sdk", "integrations"))


def python_of(system: str) -> str:
    """The interpreter of a system's environment; rota is on its path by ``SOURCES``."""
    pins = TOP / "integrations" / "pins" / f"{system}.txt"
    digest = hashlib.sha256((sys.version + pins.read_text()).encode()).hexdigest()[:12]
    folder = CACHE / f"{system}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{system}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several processes run tests
        _make(folder, pins)
    return str(folder / "bin" / "python")


def _make(folder: Path, pins: Path) -> None:
    if not (folder / ".done").exists():
        uv = str(Path(sys.executable).with_name("uv"))
        python = str(folder / "bin" / "python")
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--no-config", "--compile-bytecode", "--python", python, "-r", str(pins))
        (folder / ".done").touch()


def installed(folder: Path) -> str:
    """A path with rota's sources and, in ``folder``, what tells that it is installed: its entry points, by which it is found."""
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    told = folder / "rota-0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: rota\nVersion: 0\n")
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{name} = {where}\n" for name, where in each.items()) for group, each in groups]
    (told / "entry_points.txt").write_text("\n".join(lines))
    return os.pathsep.join((SOURCES, str(folder)))


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env={"UV_SYSTEM_CERTS": "1", **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
