"""Certificates from files, for HTTP and for gRPC."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NamedTuple

from rota_collector.errors import ConfigError


class Tls(NamedTuple):
    """PEM files: the certificate with its chain, its key, and the authorities whose clients may connect (None: everybody may)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """For HTTP. Raises ConfigError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key, _no_password)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise ConfigError(self._refusal(error)) from error
        return context

    def credentials(self) -> Any:
        """For gRPC. Raises ConfigError. What is in the files is checked by ``context``."""
        import grpc  # 70 ms, for those who serve it

        try:
            pair = (self.key.read_bytes(), self.certificate.read_bytes())
            authorities = None if self.client_ca is None else self.client_ca.read_bytes()
        except OSError as error:
            raise ConfigError(self._refusal(error)) from error
        return grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)

    def _refusal(self, error: Exception) -> str:
        files = f"ROTA_TLS_CERTIFICATE={self.certificate} and ROTA_TLS_KEY={self.key}"
        files += f" (ROTA_TLS_CLIENT_CA={self.client_ca})" if self.client_ca else ""
        return f"cannot use {files}: {error}. They are PEM files, the key without a password and belonging to the certificate"


def _no_password() -> str:
    raise ValueError("the key has a password")  # OpenSSL would ask for it at the terminal
