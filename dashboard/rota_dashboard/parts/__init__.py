"""Parts of a page that the browser draws: one module in ``web/`` each, given plain data and never markup.

A part is mounted as a Streamlit component. Its code is not sent with each message, but loaded once as a real module from
``/parts/<digest>/``, where the browser keeps it for good; whatever text it gets, it sets as text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

WEB = Path(__file__).parent / "web"
_LOADER = """// the module itself is loaded once, and kept
export default async (given) => (await import(`${location.origin}%s/%s.js`)).default(given)
"""


@lru_cache(maxsize=1)
def path() -> str:
    """Where the modules are served: another place whenever any of them has changed."""
    digest = hashlib.sha256()
    for file in sorted(WEB.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return f"/parts/{digest.hexdigest()[:12]}"


def draw(name: str, data: dict[str, Any] | bytes, key: str | None = None, **told: Callable[[], None]) -> Any:
    """Draw the part ``name`` with ``data``; ``told`` are callbacks ``on_<x>_change`` for what it tells.

    What is no bytes goes as JSON in bytes: Streamlit would render it twice, to send it and to see whether it is the same.
    """
    sent = (
        data
        if isinstance(data, bytes)
        else json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    )
    return _part(name)(data=sent, key=key or name, **told)


@lru_cache(maxsize=64)
def _part(name: str) -> Any:
    return st.components.v2.component(f"rota_{name}", js=_LOADER % (path(), name))
