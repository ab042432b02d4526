"""Parts of a page that the browser draws: one module in ``web/`` each, given plain data and never markup.

A part is mounted as a Streamlit component. Its code is not sent with each message, but loaded once as a real module from
``/parts/<digest>/``, where the browser keeps it for good; whatever text it gets, it sets as text.
"""

from __future__ import annotations

import hashlib
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


def draw(name: str, data: Any, key: str | None = None, **told: Callable[[], None]) -> Any:
    """Draw the part ``name`` with ``data`` (JSON, or bytes); ``told`` are callbacks ``on_<x>_change`` for what it tells."""
    return _part(name)(data=data, key=key or name, **told)


@lru_cache(maxsize=64)
def _part(name: str) -> Any:
    return st.components.v2.component(f"rota_{name}", js=_LOADER % (path(), name))
