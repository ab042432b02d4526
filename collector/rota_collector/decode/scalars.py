"""Single values as rows hold them. Loads no Arrow: receivers need some of it too."""

from __future__ import annotations

from functools import lru_cache

from rota.wire import ids

MOST_CHARACTERS, MOST_JSON_BYTES = 1_000, 8_192  # of what stands above a record and is repeated in each
LAST_NS = 2**63 - 2  # the last TIMESTAMP_NS; the number after it means infinity


uuid_of = lru_cache(maxsize=4096)(ids.uuid_of)
