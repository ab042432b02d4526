"""What a collector that is reached over gRPC says of itself: with an empty Export call, which keeps nothing."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import grpc

from rota.agent.target import Target

_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def told(goal: Target, timeout_seconds: float) -> dict[str, str]:
    """The initial metadata of its answer.

    Raises:
        OSError: nobody answers, or a certificate cannot be read.
    """
    address = urlsplit(_with_scheme(goal.url)).netloc
    headers = [(name.lower(), value) for name, value in goal.headers.items()]
    with _channel(goal, address) as channel:
        export: Any = channel.unary_unary(_EXPORT)
        call = export.future(b"", timeout=timeout_seconds, metadata=headers)
        try:
            call.result()
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise OSError("%s: %s" % (goal.url, error.details())) from error
        return {str(name): str(value) for name, value in call.initial_metadata() or ()}


def api_url(goal: Target, http_port: str) -> str:
    """Where the API of that collector listens: on the same host, on the port that it told."""
    url = urlsplit(_with_scheme(goal.url))
    host = "[%s]" % url.hostname if ":" in (url.hostname or "") else url.hostname
    return "%s://%s:%d" % ("http" if _is_plain(goal) else "https", host, int(http_port))


def _channel(goal: Target, address: str) -> Any:
    if _is_plain(goal):
        return grpc.insecure_channel(address)
    parts = [_read(path) for path in (goal.certificate, goal.client_key, goal.client_certificate)]
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(*parts))


def _is_plain(goal: Target) -> bool:
    """As the official exporter has it."""
    if goal.url.startswith("https://"):
        return False
    asked = os.environ.get("OTEL_EXPORTER_OTLP_INSECURE")
    return asked.lower() == "true" if asked is not None else goal.url.startswith("http://")


def _with_scheme(url: str) -> str:
    return url if "://" in url else "//" + url


def _read(path: str) -> bytes | None:
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()
