"""``python -m rota_dashboard``: becomes ``streamlit run app.py`` on the address of ROTA_DASHBOARD."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rota_dashboard import config


def command(host: str, port: int) -> list[str]:
    """The command line of Streamlit for this address."""
    options = {**config.STREAMLIT, "server.address": host, "server.port": str(port), "browser.serverAddress": host}
    flags = [f"--{name}={value}" for name, value in options.items()]
    hosts = [f"--server.allowedHosts={name}" for name in config.LOOPBACK]
    return [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("app.py")), *flags, *hosts]


def main() -> None:
    """Replaces this process, so that signals reach Streamlit itself. Exit status 2 when the address is wrong."""
    try:
        host, port = config.listen()
    except ValueError as error:
        print(f"rota dashboard: {error}", file=sys.stderr)
        sys.exit(2)
    name = f"[{host}]" if ":" in host else host
    print(f"rota dashboard: http://{name}:{port} shows {config.endpoint()}", file=sys.stderr, flush=True)
    os.execv(sys.executable, command(host, port))


if __name__ == "__main__":
    main()
