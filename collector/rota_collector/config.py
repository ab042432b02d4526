"""Settings of the collector: one table, read from the environment once, at the start."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rota.rules.durations import seconds
from rota_collector.errors import ConfigError


class Setting(NamedTuple):
    """One row of ``SETTINGS``: environment variable, default as shown to people, and what it does."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("ROTA_HOME", "$XDG_STATE_HOME/rota, or /var/lib/rota for root", "Where journal and stores live; one collector each."),
    Setting("ROTA_HTTP", "127.0.0.1:4318", "Where HTTP listens: OTLP, API, health. Port 0 takes a free one."),
    Setting("ROTA_GRPC", "127.0.0.1:4317", "Where OTLP over gRPC listens; `off` disables it."),
    Setting("ROTA_MAX_BODY", "67108864", "Largest request, in bytes after decompression; a larger one is answered 413."),
    Setting("ROTA_DASHBOARD_URL", "http://$ROTA_DASHBOARD", "Where the links in alerts lead: the dashboard as people reach it."),
    Setting(
        "ROTA_SETTLE", "2m", "After the collector was down: how long news from then may come before what is missing is missed."
    ),
    Setting("ROTA_METRICS_WORKFLOWS", "2000", "So many workflows, by name, have numbers of their own in `/metrics`; `0`: none."),
    Setting("ROTA_LOG", "text", "How the collector speaks on stderr: `text`, or `json`, an object a line."),
    Setting("ROTA_LOG_LEVEL", "info", "What it says at least: `debug`, `info`, `warn` or `error`."),
    Setting("ROTA_WEBHOOK_ALLOW_PRIVATE", "0", "`1`: channels may reach private addresses and this machine."),
)
_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Config:
    """The settings in force."""

    home: Path
    http: Address
    grpc: Address | None
    max_body: int
    dashboard_url: str = "http://127.0.0.1:8501"
    allow_private: bool = False  # addresses, for channels
    settle_ns: int = 120 * 10**9
    metrics_workflows: int = 2000
    log: str = "text"
    log_level: str = "info"

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """The settings of an environment. Raises ConfigError, which names the setting, its value and a way out."""
        values = {name: environ.get(name) or default for name, default in _DEFAULTS.items()}
        grpc = None if values["ROTA_GRPC"].lower() == "off" else _address("ROTA_GRPC", values["ROTA_GRPC"])
        return cls(
            _home(environ),
            _address("ROTA_HTTP", values["ROTA_HTTP"]),
            grpc,
            _bytes("ROTA_MAX_BODY", values["ROTA_MAX_BODY"]),
            _dashboard_url(environ),
            _switch("ROTA_WEBHOOK_ALLOW_PRIVATE", values["ROTA_WEBHOOK_ALLOW_PRIVATE"]),
            _duration_ns("ROTA_SETTLE", values["ROTA_SETTLE"]),
            metrics_workflows=_count("ROTA_METRICS_WORKFLOWS", values["ROTA_METRICS_WORKFLOWS"]),
            log=_one_of(("text", "json"), "ROTA_LOG", values["ROTA_LOG"]),
            log_level=_one_of(("debug", "info", "warn", "error"), "ROTA_LOG_LEVEL", values["ROTA_LOG_LEVEL"]),
        )


def _home(environ: Mapping[str, str]) -> Path:
    if environ.get("ROTA_HOME"):
        return Path(environ["ROTA_HOME"]).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/rota")
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local/state", "rota").absolute()


def _address(name: str, value: str) -> Address:
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(f"{name}={value!r} is not HOST:PORT. Example: {name}={_DEFAULTS[name]}")
    if not is_loopback(host):
        raise ConfigError(
            f"{name}={value!r} can be reached from other machines, and telemetry is taken from anybody: keys guard the API only. "
            f"Listen on a loopback address ({name}={_DEFAULTS[name]}) and put a proxy that authenticates in front of it."
        )
    return Address(host, int(port))


def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, without brackets) can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _bytes(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise ConfigError(f"{name}={value!r} is not a number of bytes above 0. Example: {name}={_DEFAULTS[name]}")
    return int(value)


def _count(name: str, value: str) -> int:
    if not value.isdecimal():
        raise ConfigError(f"{name}={value!r} is not a number from 0. Example: {name}={_DEFAULTS[name]}")
    return int(value)


def _one_of(words: tuple[str, ...], name: str, value: str) -> str:
    if value not in words:
        raise ConfigError(f"{name}={value!r} is none of {', '.join(words)}. Example: {name}={_DEFAULTS[name]}")
    return value


def _dashboard_url(environ: Mapping[str, str]) -> str:
    given = environ.get("ROTA_DASHBOARD_URL")
    if not given:
        return f"http://{environ.get('ROTA_DASHBOARD') or '127.0.0.1:8501'}"
    if not given.startswith(("http://", "https://")) or not given.isprintable() or " " in given:
        raise ConfigError(f"ROTA_DASHBOARD_URL={given!r} is no address. Example: ROTA_DASHBOARD_URL=https://rota.example.org")
    return given.rstrip("/")


def _switch(name: str, value: str) -> bool:
    if value not in ("0", "1"):
        raise ConfigError(f"{name}={value!r} is neither 0 nor 1. Example: {name}=1")
    return value == "1"


def _duration_ns(name: str, value: str) -> int:
    try:
        return round(seconds(value) * 1e9)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
