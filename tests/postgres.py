"""A real PostgreSQL on loopback, for the length of a block."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collectors import PATIENCE_SECONDS
from servers import free_ports


def program(name: str) -> str:
    """A server program, which Debian keeps off the PATH; the test is skipped without it."""
    found = [shutil.which(name), *sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), reverse=True)]
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: postgresql)")
    return path


def _as_user() -> dict[str, Any]:
    """Nobody runs PostgreSQL as root."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Its connection string. Its data are in a folder of their own, which that user may enter, and are gone afterwards."""
    initdb, server, who = program("initdb"), program("postgres"), _as_user()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="rota-postgres-") as folder:
        if who:
            os.chown(folder, who["user"], who["group"])
        common: dict[str, Any] = {**who, "cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}}
        make = [initdb, "-D", f"{folder}/data", "-U", "rota", "-A", "trust", "-N"]
        subprocess.run(make, check=True, capture_output=True, timeout=PATIENCE_SECONDS, **common)
        serve = [server, "-D", f"{folder}/data", "-F", "-h", "127.0.0.1", "-p", str(port), "-k", ""]
        with subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **common) as process:
            try:
                _await_ready(process)
                yield f"host=127.0.0.1 port={port} user=rota dbname=postgres"
            finally:
                process.terminate()
                process.stderr.close()
                process.wait(PATIENCE_SECONDS)


def _await_ready(process: subprocess.Popen[bytes]) -> None:
    said = b""
    for line in process.stderr or ():
        said += line
        if b"ready to accept connections" in line:
            return
    pytest.fail(f"postgres does not start: {said.decode()}")
