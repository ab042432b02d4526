"""Settings of the dashboard: one table, read from the environment; and how Streamlit has to behave."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from rota.wire import tls


class Setting(NamedTuple):
    """One row of ``SETTINGS``: environment variable, default as shown to people, and what it does."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("ROTA_DASHBOARD", "127.0.0.1:8501", "Where the dashboard listens; a loopback address."),
    Setting("ROTA_DASHBOARD_URL", "http://$ROTA_DASHBOARD", "How people reach it, when a reverse proxy stands before it."),
    Setting("ROTA_ENDPOINT", "http://$ROTA_HTTP", "The collector whose API it reads."),
    Setting("ROTA_HTTP", "127.0.0.1:4318", "Where the collector listens, when `ROTA_ENDPOINT` is not set."),
    Setting("ROTA_TOKEN", "", "Key for the collector, used for everybody who looks; without one each person gives their own."),
    Setting("ROTA_TOKEN_FILE", "", "A file that holds the key."),
    Setting("OTEL_EXPORTER_OTLP_CERTIFICATE", "", "PEM file of the authority to trust for https, not the system's."),
    Setting("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "", "PEM file: who it is, where clients need a certificate (mutual TLS)."),
    Setting("OTEL_EXPORTER_OTLP_CLIENT_KEY", "", "PEM file with its key, without a password."),
)

LOOPBACK = ("127.0.0.1", "localhost", "::1")
DEFAULT_ENDPOINT = "http://127.0.0.1:4318"

# Colours by what they mean, for light and dark. All hold 4.5:1 on both backgrounds; anchors of the palette, used by name
# everywhere else: good greenColor, bad redColor, warn yellowColor, odd violetColor, live blueColor, mute grayColor.
_PALETTE = {
    "greenColor": ("#0e7c66", "#5ccfb4"),
    "redColor": ("#b01a10", "#ff6a5e"),
    "yellowColor": ("#966a00", "#f2b632"),
    "violetColor": ("#8d2aa0", "#dca2f0"),
    "blueColor": ("#1257d6", "#5c9dff"),
    "grayColor": ("#4f5763", "#8a94a3"),
    "yellowTextColor": ("#7d5800", "#f2b632"),
    "primaryColor": ("#1257d6", "#5c9dff"),
    "linkColor": ("#1257d6", "#5c9dff"),
    "backgroundColor": ("#ffffff", "#11161c"),
    "secondaryBackgroundColor": ("#f5f6f8", "#1a2129"),
    "textColor": ("#171b22", "#e8ebef"),
    "borderColor": ("#dfe3e8", "#2a323c"),
}

# What the page itself is coloured with, by the name of its CSS variable: (light, dark).
PAGE_COLOURS = {
    "ground": _PALETTE["backgroundColor"],
    "panel": _PALETTE["secondaryBackgroundColor"],
    "text": _PALETTE["textColor"],
    "line": _PALETTE["borderColor"],
    "live": _PALETTE["blueColor"],
}

# Nothing calls out, nothing is asked at the first start, nothing of ours is edited while it runs.
STREAMLIT: dict[str, object] = {
    "server.headless": True,
    "server.showEmailPrompt": False,
    "server.fileWatcherType": "none",
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.maxUploadSize": 1,
    "server.disconnectedSessionTTL": 30,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "runner.magicEnabled": False,
    "logger.level": "warning",
    "logger.hideWelcomeMessage": True,  # the dashboard says where it is itself
    "theme.baseFontSize": 14,
    "theme.baseRadius": "6px",
    "theme.paddingTop": "0.5rem",
    "theme.headingFontWeights": [650, 600, 600, 600, 600, 600],
    **{f"theme.light.{name}": light for name, (light, _) in _PALETTE.items()},
    **{f"theme.dark.{name}": dark for name, (_, dark) in _PALETTE.items()},
}


def listen() -> tuple[str, int]:
    """(host, port) to listen on.

    Raises:
        ValueError: not ``host:port``, or not a loopback address: a key that a person gives must not cross a network in the clear.
    """
    given = os.environ.get("ROTA_DASHBOARD") or "127.0.0.1:8501"
    host, _, port = given.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"ROTA_DASHBOARD={given!r} is not HOST:PORT. Example: ROTA_DASHBOARD=127.0.0.1:8501")
    if host not in LOOPBACK:
        raise ValueError(
            f"ROTA_DASHBOARD={given!r} is not a loopback address, and the dashboard speaks no TLS. "
            "Listen on 127.0.0.1, put a reverse proxy with TLS in front, and set ROTA_DASHBOARD_URL to its address."
        )
    return host, int(port)


def hosts() -> list[str]:
    """The names under which the dashboard may be asked for: this machine's, and that of the proxy before it."""
    public = urlsplit(f"//{public_address()}").hostname
    return [*LOOPBACK, *([public] if public and public not in LOOPBACK else [])]


def public_address() -> str:
    """``host:port`` of the proxy before it; empty without one."""
    return urlsplit(os.environ.get("ROTA_DASHBOARD_URL") or "").netloc


def is_secure() -> bool:
    """Whether people reach it over TLS."""
    return (os.environ.get("ROTA_DASHBOARD_URL") or "").startswith("https://")


def endpoint() -> str:
    """The collector's base URL, without a trailing slash.

    Raises:
        ValueError: it is none.
    """
    given = os.environ.get("ROTA_ENDPOINT") or f"http://{os.environ.get('ROTA_HTTP') or '127.0.0.1:4318'}"
    wrong = f"{given!r} is no address of a collector. Example: ROTA_ENDPOINT=http://127.0.0.1:4318"
    try:
        parts = urlsplit(given)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise ValueError(wrong) from None
    if not is_one:
        raise ValueError(wrong)
    return given.rstrip("/")


def client_tls(url: str) -> ssl.SSLContext | bool:
    """How to connect to ``url``, as httpx has it: over https with the certificates that are set.

    Raises:
        ValueError: one cannot be used.
    """
    return tls.context(*tls.files(os.environ)) if url.startswith("https:") else True


def token() -> str:
    """The key for the collector; empty when there is none or its file cannot be read."""
    path = os.environ.get("ROTA_TOKEN_FILE")
    if os.environ.get("ROTA_TOKEN") or not path:
        return os.environ.get("ROTA_TOKEN", "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
