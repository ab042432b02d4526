"""Ids that are made of names: the same for everybody who makes one of the same name."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID


def uuid_of(text: str) -> UUID:
    """The UUID that a text is, or always the same one for the same text."""
    try:
        return UUID(text)
    except ValueError:
        return UUID(bytes=blake2b(text.encode("utf-8", "replace"), digest_size=16, person=b"rota.id").digest())


def uuid_text(text: str) -> str:
    """``str(uuid_of(text))``, for a third of it where a ``/`` says that the text is no UUID itself."""
    if "/" not in text:
        return str(uuid_of(text))
    h = blake2b(text.encode("utf-8", "replace"), digest_size=16, person=b"rota.id").hexdigest()
    return "%s-%s-%s-%s-%s" % (h[:8], h[8:12], h[12:16], h[16:20], h[20:])


def identity(system: str, key: tuple[str, ...]) -> str:
    """The text that the UUID of another system's run is made of: the one word that names it there, or its words joined."""
    return key[0] if len(key) == 1 else "/".join((system, *key))


def span_id(*names: object) -> str:
    """16 hex digits, always the same for the same names; never all zeros."""
    text = "/".join(map(str, names)).encode("utf-8", "replace")
    return blake2b(text, digest_size=8, person=b"rota.span").hexdigest().replace("0" * 16, "0" * 15 + "1")
