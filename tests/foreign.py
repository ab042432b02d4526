"""Environments of clients that nobody here wrote: what tests/contract/clients pins, made once, within .venv."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parent / "contract" / "clients"
_PLACE = Path(sys.prefix) / "foreign"


def node() -> Path:
    """A folder with the npm exporters and ``send.mjs``. Skips where there is no node."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("needs node: apt-get install nodejs npm")
    pins = [CLIENTS / "package.json", CLIENTS / "package-lock.json"]

    def fill(folder: Path) -> None:
        for file in pins:
            shutil.copy(file, folder)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)

    folder = _made("node", pins, fill)
    shutil.copy(CLIENTS / "send.mjs", folder)
    return folder


def python() -> Path:
    """A folder with Python packages, for ``PYTHONPATH``."""
    pins = CLIENTS / "python.txt"

    def fill(folder: Path) -> None:
        uv = [
            str(Path(sys.executable).with_name("uv")),
            "pip",
            "install",
            "--quiet",
            "--no-config",
            "--no-deps",
            "--system-certs",
        ]
        _run([*uv, "--python", sys.executable, "--target", str(folder), "-r", str(pins)], folder)

    return _made("python", [pins], fill)


def _made(name: str, pins: list[Path], fill: Callable[[Path], None]) -> Path:
    """The environment of these pins; made when it is not there, by one of those who want it."""
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in pins)).hexdigest()[:12]
    folder, done = _PLACE / f"{name}-{digest}", _PLACE / f"{name}-{digest}.done"
    _PLACE.mkdir(exist_ok=True)
    with open(_PLACE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            fill(folder)
            done.touch()
    return folder


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
