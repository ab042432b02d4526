"""Single values as rows hold them. Loads no Arrow: receivers need some of it too."""

from __future__ import annotations

import uuid
from functools import lru_cache
from hashlib import blake2b

MOST_CHARACTERS, MOST_JSON_BYTES = 1_000, 8_192  # of what stands above a record and is repeated in each
LAST_NS = 2**63 - 2  # the last TIMESTAMP_NS; the number after it means infinity


@lru_cache(maxsize=4096)
def uuid_of(text: str) -> uuid.UUID:
    """The UUID that a text is, or always the same one for the same text."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(bytes=blake2b(text.encode(), digest_size=16, person=b"rota.id").digest())
