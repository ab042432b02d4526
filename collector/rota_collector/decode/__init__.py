"""Requests from the journal → rows of the stores."""

from rota_collector.decode.logs import logs
from rota_collector.decode.spans import spans

__all__ = ["logs", "spans"]
