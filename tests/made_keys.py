"""Admin keys in a control store."""

from __future__ import annotations

from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges

T0 = 1_790_000_000 * 10**9


def make_keys(control: Control, many: int) -> list[str]:
    """So many of them, as their owners have them."""
    changes = KeyChanges(control.engine)
    made = (changes.create("admin", now_ns=T0, name=f"key {n}", by="a test") for n in range(many))
    return [each[1] for each in made if each is not None]
