"""Settings of the collector: one table, read from the environment once, at the start."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rota.rules.durations import seconds
from rota_collector import targets
from rota_collector.errors import ConfigError
from rota_collector.targets import Target
from rota_collector.tls import Tls


class Setting(NamedTuple):
    """One row of ``SETTINGS``: environment variable, default as shown to people, and what it does."""

    name: str
    default: str
    help: str


_BURST = "ten seconds' worth at once; `off`: no limit."

SETTINGS = (
    Setting("ROTA_HOME", "$XDG_STATE_HOME/rota, or /var/lib/rota for root", "Where journal and stores live; one collector each."),
    Setting("ROTA_HTTP", "127.0.0.1:4318", "Where HTTP listens: OTLP, API, health. Port 0 takes a free one."),
    Setting("ROTA_GRPC", "127.0.0.1:4317", "Where OTLP over gRPC listens; `off` disables it."),
    Setting("ROTA_HTTP_SOCKET", "", "A Unix socket on which HTTP listens besides; its owner and group may connect. Never TLS."),
    Setting("ROTA_TLS_CERTIFICATE", "", "PEM file, the certificate and its chain: HTTP and gRPC speak TLS. With `ROTA_TLS_KEY`."),
    Setting("ROTA_TLS_KEY", "", "PEM file with the certificate's key, without a password."),
    Setting("ROTA_TLS_CLIENT_CA", "", "PEM file: only clients with a certificate from these authorities may connect."),
    Setting("ROTA_CORS_ORIGINS", "", "Origins whose pages may send OTLP, `https://app.example.org,…`, or `*`; empty: none."),
    Setting("ROTA_CONNECTIONS", "10000", "Most open HTTP connections; when there is one more, the slowest client gives way."),
    Setting("ROTA_MAX_BODY", "67108864", "Largest request, in bytes after decompression; a larger one is answered 413."),
    Setting("ROTA_DASHBOARD_URL", "http://$ROTA_DASHBOARD", "Where the links in alerts lead: the dashboard as people reach it."),
    Setting(
        "ROTA_SETTLE", "2m", "After the collector was down: how long news from then may come before what is missing is missed."
    ),
    Setting("ROTA_API_RATE", "100", f"Requests a second that a key may make of the API; {_BURST}"),
    Setting("ROTA_PING_RATE", "off", f"Pings, Sentry check-ins or OpenLineage requests a second with one key; {_BURST}"),
    Setting("ROTA_INGEST_RATE", "off", f"Requests of telemetry a second with one key; {_BURST}"),
    Setting(
        "ROTA_RETRY_BUDGET",
        "off",
        "Retries whose policy names no budget share one: `20%` of first attempts, and 10 in 10 minutes; `off`: no limit.",
    ),
    Setting(
        "ROTA_KEEP_RUNS", "400d", "How long runs, their slots, closed incidents and what was told of them are kept; or `off`."
    ),
    Setting("ROTA_KEEP_SPANS", "90d", "How long spans are kept; `off`: for ever."),
    Setting("ROTA_KEEP_LOGS", "90d", "How long log records are kept; `off`: for ever."),
    Setting("ROTA_KEEP_METRICS", "90d", "How long metrics are kept; `off`: for ever."),
    Setting("ROTA_TELEMETRY_SIZE", "off", "When `telemetry.duckdb` holds more, the oldest spans, logs and metrics go: `50GB`."),
    Setting(
        "ROTA_JOURNAL_SIZE",
        "4GB",
        "When the journal holds more, its oldest part goes, once a verified copy holds it; `off`: never.",
    ),
    Setting("ROTA_KEEP_JOURNAL", "off", "How long segments of the journal are kept at most; `off`: as long as its size allows."),
    Setting("ROTA_DISK_RESERVE", "256MB", "With less free on the journal's disk, requests are answered 503 until there is more."),
    Setting("ROTA_MOST_LAG", "8GB", "When a store is so much of the journal behind, requests are answered 503 until it is not."),
    Setting(
        "ROTA_MEMORY",
        "1GB",
        "About the most memory that the collector takes, no more than its unit or container has; with more, larger queries run.",
    ),
    Setting("ROTA_METRICS_WORKFLOWS", "2000", "So many workflows, by name, have numbers of their own in `/metrics`; `0`: none."),
    Setting("ROTA_LOG", "text", "How the collector speaks on stderr: `text`, or `json`, an object a line."),
    Setting("ROTA_LOG_LEVEL", "info", "What it says at least: `debug`, `info`, `warn` or `error`."),
    Setting(
        "ROTA_FORWARD",
        "",
        "Where all telemetry goes on to: the base address of an OTLP/HTTP receiver, or the path of a TOML file with several.",
    ),
    Setting("ROTA_FORWARD_HEADERS", "", "Headers for the address in `ROTA_FORWARD`: `key=value,key=value`, percent-encoded."),
    Setting("ROTA_WEBHOOK_ALLOW_PRIVATE", "0", "`1`: channels may reach private addresses and this machine."),
)
_SIZE = re.compile(r"(\d+) ?(|B|[kMGT]B)", re.IGNORECASE)
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_DEFAULTS = {setting.name: setting.default for setting in SETTINGS}


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Keep(NamedTuple):
    """How long (ns) and how much (bytes) is kept; None: without end."""

    spans_ns: int | None
    logs_ns: int | None
    metrics_ns: int | None
    runs_ns: int | None
    telemetry_bytes: int | None
    journal_ns: int | None
    journal_bytes: int | None


KEEP_ALL = Keep(None, None, None, None, None, None, None)


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
    api_rate: float | None = 100.0  # requests a second and key; None: no limit
    ping_rate: float | None = None
    ingest_rate: float | None = None
    http_socket: Path | None = None
    tls: Tls | None = None
    cors_origins: frozenset[str] = frozenset()
    connections: int = 10_000
    keep: Keep = KEEP_ALL
    disk_reserve: int = 0  # bytes; so is most_lag
    most_lag: int = 1 << 62
    memory: int = 10**9  # bytes
    metrics_workflows: int = 2000
    log: str = "text"
    log_level: str = "info"
    forward: tuple[Target, ...] = ()
    retry_budget: dict[str, Any] | None = None  # as a policy spells it

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Config:
        """The settings of an environment. Raises ConfigError, which names the setting, its value and a way out."""
        values = {name: environ.get(name) or default for name, default in _DEFAULTS.items()}
        grpc = None if values["ROTA_GRPC"].lower() == "off" else _address("ROTA_GRPC", values["ROTA_GRPC"])
        return cls(
            _home(environ),
            _address("ROTA_HTTP", values["ROTA_HTTP"]),
            grpc,
            _number("ROTA_MAX_BODY", values["ROTA_MAX_BODY"], "bytes"),
            _dashboard_url(environ),
            _switch("ROTA_WEBHOOK_ALLOW_PRIVATE", values["ROTA_WEBHOOK_ALLOW_PRIVATE"]),
            _duration_ns("ROTA_SETTLE", values["ROTA_SETTLE"]),
            api_rate=_rate("ROTA_API_RATE", values["ROTA_API_RATE"]),
            ping_rate=_rate("ROTA_PING_RATE", values["ROTA_PING_RATE"]),
            ingest_rate=_rate("ROTA_INGEST_RATE", values["ROTA_INGEST_RATE"]),
            http_socket=Path(values["ROTA_HTTP_SOCKET"]).absolute() if values["ROTA_HTTP_SOCKET"] else None,
            tls=_tls(values),
            cors_origins=_origins(values["ROTA_CORS_ORIGINS"]),
            connections=_number("ROTA_CONNECTIONS", values["ROTA_CONNECTIONS"], "connections"),
            keep=_keep(values),
            disk_reserve=_size("ROTA_DISK_RESERVE", values["ROTA_DISK_RESERVE"]),
            most_lag=_size("ROTA_MOST_LAG", values["ROTA_MOST_LAG"]),
            memory=_size("ROTA_MEMORY", values["ROTA_MEMORY"]),
            metrics_workflows=_count("ROTA_METRICS_WORKFLOWS", values["ROTA_METRICS_WORKFLOWS"]),
            log=_one_of(("text", "json"), "ROTA_LOG", values["ROTA_LOG"]),
            log_level=_one_of(("debug", "info", "warn", "error"), "ROTA_LOG_LEVEL", values["ROTA_LOG_LEVEL"]),
            retry_budget=_retry_budget(values["ROTA_RETRY_BUDGET"]),
            forward=targets.read(values["ROTA_FORWARD"], values["ROTA_FORWARD_HEADERS"], environ),
        )


def _keep(values: Mapping[str, str]) -> Keep:
    ages = ("ROTA_KEEP_SPANS", "ROTA_KEEP_LOGS", "ROTA_KEEP_METRICS", "ROTA_KEEP_RUNS", "ROTA_KEEP_JOURNAL")
    sizes = ("ROTA_TELEMETRY_SIZE", "ROTA_JOURNAL_SIZE")
    spans, logs, metrics, runs, journal = (_unless_off(_duration_ns, name, values[name]) for name in ages)
    telemetry_bytes, journal_bytes = (_unless_off(_size, name, values[name]) for name in sizes)
    return Keep(spans, logs, metrics, runs, telemetry_bytes, journal, journal_bytes)


def _unless_off(read: Callable[[str, str], int], name: str, value: str) -> int | None:
    return None if value.lower() == "off" else read(name, value)


def _size(name: str, value: str) -> int:
    written = _SIZE.fullmatch(value.strip())
    if written is None:
        raise ConfigError(f"{name}={value!r} is no size. Write it like 500MB, 20GB or 2TB. Example: {name}={_DEFAULTS[name]}")
    return int(written[1]) * _UNITS[written[2].upper()]


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
    return Address(host, int(port))


@lru_cache(1024)  # asked of whoever sends, at every request
def is_loopback(host: str) -> bool:
    """Whether ``host`` (a name or an address, without brackets) can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _number(name: str, value: str, of: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise ConfigError(f"{name}={value!r} is not a number of {of} above 0. Example: {name}={_DEFAULTS[name]}")
    return int(value)


def _tls(values: Mapping[str, str]) -> Tls | None:
    certificate, key, authorities = values["ROTA_TLS_CERTIFICATE"], values["ROTA_TLS_KEY"], values["ROTA_TLS_CLIENT_CA"]
    if not certificate and not key and not authorities:
        return None
    if not certificate or not key:
        missing = "ROTA_TLS_KEY" if certificate else "ROTA_TLS_CERTIFICATE"
        raise ConfigError(f"{missing} is not set, and TLS needs a certificate and its key. Example: {missing}=/etc/rota/tls.pem")
    return Tls(Path(certificate), Path(key), Path(authorities) if authorities else None)


def _origins(value: str) -> frozenset[str]:
    """Origins as browsers write them."""
    origins = frozenset(origin.strip().lower() for origin in value.split(",") if origin.strip())
    for origin in origins - {"*"}:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s]+", origin):
            raise ConfigError(
                f"ROTA_CORS_ORIGINS={value!r}: {origin!r} is no origin. Example: ROTA_CORS_ORIGINS=https://app.example.org"
            )
    return origins


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


def _rate(name: str, value: str) -> float | None:
    if value.lower() == "off":
        return None
    try:
        rate = float(value)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e9:
        raise ConfigError(f"{name}={value!r} is neither off nor a number of requests a second. Example: {name}=100")
    return rate


def _retry_budget(value: str) -> dict[str, Any] | None:
    if value.lower() == "off":
        return None
    try:
        percent = float(value.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise ConfigError(f"ROTA_RETRY_BUDGET={value!r} is neither off nor a share of attempts. Example: ROTA_RETRY_BUDGET=20%")
    return {"percent": percent}


def _duration_ns(name: str, value: str) -> int:
    try:
        return round(seconds(value) * 1e9)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
