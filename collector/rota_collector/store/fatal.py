"""Errors after which a store's handle is dead: the process must end, and the next one recovers from the journal."""

from duckdb import FatalException

FATAL: tuple[type[BaseException], ...] = (FatalException,)
