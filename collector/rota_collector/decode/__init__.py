"""Requests. ``check`` is for who receives them, and loads little; ``to_rows`` is for the stores, and brings pyarrow."""

from rota_collector.decode.check import Accepted, check

__all__ = ["Accepted", "check"]
