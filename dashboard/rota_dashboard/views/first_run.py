"""Before the first run: how to get one."""

from __future__ import annotations

from rota_dashboard import config, parts


def draw() -> None:
    """The two lines, with the right address; the page turns live by itself when the first run arrives."""
    endpoint = config.endpoint()
    parts.draw("first", {"endpoint": None if endpoint == config.DEFAULT_ENDPOINT else endpoint, "pings": f"{endpoint}/ping"})
