"""Where each signal goes, as the environment says: ``ROTA_ENDPOINT``, else every ``OTEL_EXPORTER_OTLP_*`` setting."""

from __future__ import annotations

import os
from typing import NamedTuple

from rota import _config


class Target(NamedTuple):
    """Destination of one signal. ``url`` is complete for HTTP, and the server's address for gRPC."""

    signal: str
    url: str
    protocol: str
    headers: dict[str, str]
    timeout_seconds: float = 10.0
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    compression: str = "none"


def target(signal: str) -> Target:
    """The destination of ``logs``, ``traces`` or ``metrics``."""
    own = "" if os.environ.get("ROTA_ENDPOINT") else _setting(signal, "PROTOCOL")
    protocol = own or _config.protocol()
    return Target(
        signal,
        _url(signal, protocol),
        protocol,
        {**_config.headers(), **_config.parse_pairs(os.environ.get(_name(signal, "HEADERS"), ""))},
        _seconds(_setting(signal, "TIMEOUT")),
        _setting(signal, "CERTIFICATE"),
        _setting(signal, "CLIENT_CERTIFICATE"),
        _setting(signal, "CLIENT_KEY"),
        _setting(signal, "COMPRESSION") or "none",
    )


def _url(signal: str, protocol: str) -> str:
    if protocol == "grpc":
        return _setting(signal, "ENDPOINT") or "http://" + (os.environ.get("ROTA_GRPC") or "127.0.0.1:4317")
    own = "" if os.environ.get("ROTA_ENDPOINT") else os.environ.get(_name(signal, "ENDPOINT"), "")
    return own or "%s/v1/%s" % (_config.endpoint(), signal)


def _name(signal: str, setting: str) -> str:
    return "OTEL_EXPORTER_OTLP_%s_%s" % (signal.upper(), setting)


def _setting(signal: str, setting: str) -> str:
    """The signal's own setting, else the one for all signals."""
    return os.environ.get(_name(signal, setting)) or os.environ.get("OTEL_EXPORTER_OTLP_" + setting) or ""


def _seconds(text: str) -> float:
    """In seconds, as the official Python exporters read it."""
    try:
        return float(text) if float(text) > 0 else 10.0
    except ValueError:
        return 10.0
