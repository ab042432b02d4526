"""An authority, and certificates from it, for tests of TLS."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; everything lies in ``folder``."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, name
        self._root = Pair(folder / f"{name}.pem", folder / f"{name}.key")
        _openssl(
            "req", "-x509", *_new_key(self._root.key), "-subj", f"/CN={name}", "-days", "2", "-out", self._root.certificate,
            "-addext", "keyUsage=critical,keyCertSign",  # CPython 3.13 asks for it
        )  # fmt: skip

    @property
    def certificate(self) -> Path:
        """What those trust who trust it."""
        return self._root.certificate

    def sign(self, name: str) -> Pair:
        """A certificate for ``name``, which is also good for this machine by its usual names."""
        pair = Pair(self._folder / f"{self._name}-{name}.pem", self._folder / f"{self._name}-{name}.key")
        _openssl(
            "req", "-x509", *_new_key(pair.key), "-subj", f"/CN={name}", "-days", "2", "-out", pair.certificate,
            "-CA", self._root.certificate, "-CAkey", self._root.key, "-addext", "basicConstraints=critical,CA:FALSE",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        )  # fmt: skip
        return pair


def context_of(authority: Authority, client: Pair | None) -> ssl.SSLContext:
    """Of a client that trusts ``authority`` and shows that certificate, or none."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    return context


def _new_key(path: Path) -> tuple[str | Path, ...]:
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
