"""Settings of the SDK, the agent and the CLI: one table, read from the environment on demand.

Precedence: argument > ``ROTA_*`` > ``OTEL_*`` > default. Nothing here imports more than ``os``: a script pays for it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping


class Setting:
    """One row of ``SETTINGS``: environment variable, default as shown to people, and what it does."""

    __slots__ = ("default", "help", "name")

    def __init__(self, name: str, default: str, help: str) -> None:  # noqa: A002
        self.name, self.default, self.help = name, default, help


SETTINGS = (
    Setting("ROTA_HOME", "$XDG_STATE_HOME/rota; root: /var/lib/rota", "The spool, the agent's socket, on the server the stores."),
    Setting("ROTA_WORKFLOW", "", "The workflow's name, when `watch()` or `rota exec` is given none."),
    Setting("ROTA_DISABLED", "", "Any value but `0` and empty turns the SDK off: every call becomes a no-op."),
    Setting("ROTA_REDACT", "", "More keys whose values are taken out before anything leaves, `iban,customer_name`."),
    Setting("ROTA_ENDPOINT", "http://$ROTA_HTTP", "The collector, for SDK, agent, CLI and dashboard."),
    Setting("ROTA_HTTP", "127.0.0.1:4318", "Where the collector listens, when `ROTA_ENDPOINT` is not set."),
    Setting("ROTA_GRPC", "127.0.0.1:4317", "Where the collector takes gRPC, for the agent when the protocol is `grpc`."),
    Setting("ROTA_TOKEN", "", "Key sent as `Authorization: Bearer`."),
    Setting("ROTA_TOKEN_FILE", "", "A file that holds the key; read again for each request, so that a key can be replaced."),
    Setting("ROTA_AGENT", "/run/rota/agent.sock, then $ROTA_HOME/agent.sock", "The agent's socket; `off`: look for no agent."),
    Setting("ROTA_DETACH", "on", "`off`: never start a detached `rota agent --once` when a script ends."),
    Setting("ROTA_SPOOL_MB", "1024", "MiB of disk that undelivered facts may take, at most a quarter of what is free."),
    Setting("ROTA_SPOOL_DAYS", "30", "How long they are kept while nobody takes them."),
    Setting("ROTA_SAMPLE_SECONDS", "5", "How often the agent samples what running processes use; `off`: never."),
    Setting("ROTA_INSTRUMENT", "on", "Whose calls are seen: `off`, `sqlite3,requests`, all but `-logging`."),
    Setting("ROTA_LOGS", "warning", "The least of a program's log that is kept: `debug`, `info`, `warning`, `error`, or `off`."),
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "", "Used when `ROTA_ENDPOINT` is not set."),
    Setting("OTEL_EXPORTER_OTLP_HEADERS", "", "Extra request headers, `name=value,…`, values percent-encoded."),
    Setting("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "Unless `ROTA_ENDPOINT` is set. All but `http/json` is for the agent."),
    Setting("OTEL_EXPORTER_OTLP_CERTIFICATE", "", "PEM file of the authority to trust for https, not the system's."),
    Setting("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "", "PEM file: who we are, where clients need a certificate (mutual TLS)."),
    Setting("OTEL_EXPORTER_OTLP_CLIENT_KEY", "", "PEM file with its key, without a password."),
    Setting("OTEL_EXPORTER_OTLP_TIMEOUT", "10", "Seconds for one request of the agent."),
    Setting("OTEL_EXPORTER_OTLP_COMPRESSION", "none", "What the agent sends: `gzip` or `none`."),
    Setting("OTEL_EXPORTER_OTLP_TRACES_*, …_LOGS_*, …_METRICS_*", "", "Any of these for one signal, as OpenTelemetry has it."),
    Setting("OTEL_RESOURCE_ATTRIBUTES", "", "Added to the resource of everything sent, `name=value,…`."),
    Setting("OTEL_SERVICE_NAME", "the workflow's name", "`service.name` of the resource."),
    Setting("OTEL_SDK_DISABLED", "false", "`true` turns the SDK off."),
    Setting("TRACEPARENT", "", "W3C trace context of the parent: the run joins that trace."),
)  # fmt: skip

_OFF = ("", "0", "false", "off", "no")
CAPTURED = "captured"  # ROTA_DISABLED inside `rota.testing.capture()`: it turns child processes off, and not this one
is_captured = False


def disabled() -> bool:
    """Whether the environment turns the SDK off."""
    env = os.environ
    if is_captured and env.get("ROTA_DISABLED") == CAPTURED:
        return False
    return env.get("ROTA_DISABLED", "").lower() not in _OFF or env.get("OTEL_SDK_DISABLED", "").lower() == "true"


def detach_allowed() -> bool:
    """Whether a detached shipper may be started at exit."""
    return os.environ.get("ROTA_DETACH", "on").lower() not in _OFF


def spool_megabytes() -> float:
    """What undelivered facts may take on disk, in MiB."""
    return _positive("ROTA_SPOOL_MB", 1024.0)


def spool_days() -> float:
    """How old undelivered facts may become."""
    return _positive("ROTA_SPOOL_DAYS", 30.0)


def _positive(name: str, default: float) -> float:
    """A number from the environment; the default for what is none, since a typing error must not delete anything."""
    try:
        given = float(os.environ.get(name) or default)
    except ValueError:
        return default
    return given if 0 < given < 1e12 else default


def instruments(library: str) -> bool:
    """Whether calls into ``library`` are to be seen.

    Before CPython 3.11 a wrapper cannot be taken out of the traceback of what it wraps. A script there that nobody changed
    would print other tracebacks than before; so only what raises nothing is watched, unless somebody says otherwise.
    """
    chosen = (os.environ.get("ROTA_INSTRUMENT") or ("on" if sys.version_info >= (3, 11) else "logging,warnings")).lower()
    if chosen in ("on", "1", "true", "yes"):
        return True
    listed = [name.strip() for name in chosen.split(",")]
    only = [name for name in listed if not name.startswith("-")]
    return library in only if only else "-" + library not in listed


def keys_to_redact() -> list[str]:
    """The keys whose values never leave, beside those that are known to be secret."""
    return [key for key in os.environ.get("ROTA_REDACT", "").split(",") if key.strip()]


def logs_level() -> int | None:
    """The lowest level, as ``logging`` counts, of what a program logs that is kept with its run; None: nothing is."""
    chosen = (os.environ.get("ROTA_LOGS") or "warning").lower()
    return None if chosen in _OFF else {"debug": 10, "info": 20, "error": 40, "critical": 50}.get(chosen, 30)


def home() -> str:
    """The absolute path of this user's rota home (it need not exist)."""
    env = os.environ
    chosen = env.get("ROTA_HOME")
    if not chosen:
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            return "/var/lib/rota"
        base = env.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
        chosen = os.path.join(base, "rota") if not base.startswith("~") else "/var/lib/rota"  # a user without any home
    return os.path.abspath(chosen)


def agent_sockets(home_path: str) -> tuple[str, ...]:
    """Where an agent may listen, in the order to try."""
    chosen = os.environ.get("ROTA_AGENT", "")
    if chosen:
        return () if chosen.lower() in _OFF else (chosen,)
    return ("/run/rota/agent.sock", home_path + "/agent.sock")


def endpoint() -> str:
    """The collector's base URL, without a trailing slash."""
    env = os.environ
    url = env.get("ROTA_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return (url or "http://" + (env.get("ROTA_HTTP") or "127.0.0.1:4318")).rstrip("/")


def protocol() -> str:
    """``http/json`` unless the environment asks for another OTLP transport. ``ROTA_ENDPOINT`` is rota, which takes that."""
    if os.environ.get("ROTA_ENDPOINT"):
        return "http/json"
    return os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/json"


def headers() -> dict[str, str]:
    """Request headers: the standard OTLP ones, then the rota key."""
    found = parse_pairs(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
    token = token_from_environment()
    if token:
        found["Authorization"] = "Bearer " + token
    return found


def token_from_environment() -> str:
    """The key in ``ROTA_TOKEN`` or in the file ``ROTA_TOKEN_FILE``; empty when there is none or it cannot be read."""
    token, path = os.environ.get("ROTA_TOKEN", ""), os.environ.get("ROTA_TOKEN_FILE", "")
    if not token and path:
        try:
            with open(path, encoding="utf-8") as file:
                token = file.read(4096)
        except OSError:
            return ""
    return token.strip()


def parse_pairs(text: str) -> dict[str, str]:
    """``a=1,b=%20x`` as a dict; pairs without ``=`` are ignored (W3C baggage and OTEL_* list syntax)."""
    found = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found[key.strip()] = unquote(value.strip())
    return found


def unquote(text: str) -> str:
    """Percent-decoding; the import is paid only by those who use it."""
    if "%" not in text:
        return text
    from urllib.parse import unquote as decode

    return decode(text)


def plain_address(environment: Mapping[str, str]) -> tuple[str, int, str] | None:
    """(IP address, port, path prefix) when a script may send there itself, else None.

    That is: plain HTTP, JSON, one endpoint for all signals, and an address that needs no name lookup.
    """
    if protocol() != "http/json":
        return None
    a_signal = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
    if not environment.get("ROTA_ENDPOINT") and any(name in environment for name in a_signal):
        return None
    return split_plain_url(endpoint())


def split_plain_url(url: str) -> tuple[str, int, str] | None:
    """``http://1.2.3.4:80/x`` -> ``("1.2.3.4", 80, "/x")``; None for https, names and what cannot be parsed."""
    if not url.startswith("http://"):
        return None
    authority, slash, path = url[7:].partition("/")
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.lstrip(":")
    else:
        host, _, port = authority.partition(":")
    host = "127.0.0.1" if host == "localhost" else host
    if not _is_address(host) or not (port or "80").isdigit():
        return None
    return host, int(port or 80), slash + path if path else ""


def _is_address(host: str) -> bool:
    if ":" in host:
        return all(c in "0123456789abcdefABCDEF:." for c in host)
    parts = host.split(".")
    return len(parts) == 4 and all(p.isdigit() and len(p) <= 3 and int(p) < 256 for p in parts)
