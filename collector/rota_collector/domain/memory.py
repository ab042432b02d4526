"""How the memory that the collector may take is shared out. Pure; all in bytes."""

from __future__ import annotations

# Front and keeper with nothing in them take 160 MB; to that come batches under way, what Arrow and the allocators hold on to, and
# what DuckDB knows of every row group. See docs/decisions/0050.
_REST = 520 * 10**6
_LEAST = 192 * 10**6  # with less, a batch of 16 MiB cannot be inserted


def of_store(total: int) -> int:
    """What DuckDB counts and may have, pages of tables included, when all of it may have ``total``."""
    return max(_LEAST, (total - _REST) * 7 // 12)


def of_query(store: int) -> int:
    """What a query may have of that, pages of tables not included, as who writes needs some; and as much that nobody counts."""
    return store * 2 // 3
