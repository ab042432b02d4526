"""``python -m rota_dashboard``: serves the pages on the address of ROTA_DASHBOARD until a signal comes."""

from __future__ import annotations

import sys

from rota_dashboard import config


def main() -> None:
    """Exit status 2 when an address or a certificate is wrong."""
    try:
        host, port = config.listen()
        endpoint = config.endpoint()
        config.client_tls(endpoint)
    except ValueError as error:
        print(f"rota dashboard: {error}", file=sys.stderr)
        sys.exit(2)
    name = f"[{host}]" if ":" in host else host
    print(f"rota dashboard: http://{name}:{port} shows {endpoint}", file=sys.stderr, flush=True)
    from rota_dashboard import server  # Streamlit takes a second to import: a wrong address is said at once

    server.run(host, port)


if __name__ == "__main__":
    main()
