"""Settings of the dashboard: one table, read from the environment; and how Streamlit has to behave."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Setting(NamedTuple):
    """One row of ``SETTINGS``: environment variable, default as shown to people, and what it does."""

    name: str
    default: str
    help: str


SETTINGS = (
    Setting("ROTA_DASHBOARD", "127.0.0.1:8501", "Where the dashboard listens; a loopback address."),
    Setting("ROTA_ENDPOINT", "http://$ROTA_HTTP", "The collector whose API it reads."),
    Setting("ROTA_HTTP", "127.0.0.1:4318", "Where the collector listens, when `ROTA_ENDPOINT` is not set."),
    Setting("ROTA_TOKEN", "", "Key sent to the collector as `Authorization: Bearer`."),
    Setting("ROTA_TOKEN_FILE", "", "A file that holds the key."),
)

LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Flags of `streamlit run`. Nothing calls out, nothing is asked at the first start, nothing of ours is edited while it runs.
STREAMLIT = {
    "server.headless": "true",
    "server.showEmailPrompt": "false",
    "server.fileWatcherType": "none",
    "server.maxUploadSize": "1",
    "server.disconnectedSessionTTL": "30",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "runner.magicEnabled": "false",
    "logger.level": "warning",
    "logger.hideWelcomeMessage": "true",  # the dashboard says where it is itself
    "theme.baseFontSize": "14",
    "theme.baseRadius": "6px",
    "theme.font": "system-ui, sans-serif",
    "theme.light.primaryColor": "#1257d6",
    "theme.light.secondaryBackgroundColor": "#f5f6f8",
    "theme.dark.primaryColor": "#5c9dff",
    "theme.dark.backgroundColor": "#11161c",
    "theme.dark.secondaryBackgroundColor": "#1a2129",
}


def listen() -> tuple[str, int]:
    """(host, port) to listen on.

    Raises:
        ValueError: not ``host:port``, or not a loopback address (the page has no login of its own yet).
    """
    given = os.environ.get("ROTA_DASHBOARD") or "127.0.0.1:8501"
    host, _, port = given.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"ROTA_DASHBOARD={given!r} is not HOST:PORT. Example: ROTA_DASHBOARD=127.0.0.1:8501")
    if host not in LOOPBACK:
        raise ValueError(
            f"ROTA_DASHBOARD={given!r} is not a loopback address, and the dashboard has no login. "
            "Listen on 127.0.0.1 and put a reverse proxy that asks for one in front."
        )
    return host, int(port)


def endpoint() -> str:
    """The collector's base URL, without a trailing slash."""
    return (os.environ.get("ROTA_ENDPOINT") or f"http://{os.environ.get('ROTA_HTTP') or '127.0.0.1:4318'}").rstrip("/")


def token() -> str:
    """The key for the collector; empty when there is none or its file cannot be read."""
    path = os.environ.get("ROTA_TOKEN_FILE")
    if os.environ.get("ROTA_TOKEN") or not path:
        return os.environ.get("ROTA_TOKEN", "")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
