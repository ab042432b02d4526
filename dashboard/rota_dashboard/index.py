"""The one HTML page: Streamlit's own, with what ours needs in its head and the links above it.

Nothing waits for what is known beforehand: colours, font, modules, and where the server is.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from rota_dashboard import config, parts

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_IMPORT = re.compile(r'from"\./([\w.-]+\.js)"')
_FONT = re.compile(r'<link\s+rel="preload"[^>]*SourceSans[^>]*>')
_NEEDED_FIRST = ("base", "marks", "incidents", "runs")  # by most pages
_WAYS = {"/": "Overview", "/timeline": "Timeline", "/incidents": "Incidents", "/spectrum": "Spectrum", "/approvals": "Approvals"}


@lru_cache(maxsize=1)
def html() -> str:
    """The page: where the server is, before Streamlit tries to find out, and its style, before anything is drawn."""
    given = _streamlits()
    head = [
        f'<script src="{parts.path()}/boot.js"></script>',
        f"<style>{_colours()}</style>",
        f'<link rel="stylesheet" href="{parts.path()}/page.css">',
        f'<link rel="preload" href="{parts.path()}/inter.woff2" as="font" type="font/woff2" crossorigin>',
        *(f'<link rel="preload" href="{parts.path()}/{name}.css" as="fetch" crossorigin>' for name in ("look", "policy")),
        *(f'<link rel="modulepreload" href="{parts.path()}/{name}.js">' for name in _NEEDED_FIRST),
        f'<script type="module" src="{parts.path()}/ways.js"></script>',
        *(f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in _components() if name not in given),
    ]
    page = _FONT.sub("", given).replace("<title>Streamlit</title>", "<title>rota</title>")
    return page.replace("<head>", "<head>" + "".join(head), 1).replace("<body>", "<body>" + _ways(), 1)


def policy() -> str:
    """The content security policy: everything comes from this server, and goes nowhere else.

    Streamlit loads the code of components from ``blob:``, styles its elements inline, and has one inline script of its own.
    """
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in _INLINE.findall(_streamlits()))
    scripts = " ".join(["'self'", "blob:", *(f"'sha256-{digest}'" for digest in hashes)])
    return (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def _colours() -> str:
    """The page's colours as they will be, for what stands there before Streamlit has drawn anything."""
    light, dark = ("".join(f"--{name}:{colours[i]};" for name, colours in config.PAGE_COLOURS.items()) for i in (0, 1))
    return f":root{{color-scheme:light dark;{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"


def _ways() -> str:
    links = "".join(f'<a href="{path}">{name}</a>' for path, name in _WAYS.items())
    logo = f'<img src="{parts.path()}/logo.svg" alt="rota" width="78" height="24">'
    return f'<nav class="ways" aria-label="Pages"><a class="home" href="/">{logo}</a>{links}</nav>'


@lru_cache(maxsize=1)
def _streamlits() -> str:
    return files("streamlit").joinpath("static/index.html").read_text(encoding="utf-8")


def _components() -> Iterator[str]:
    """The files of Streamlit's that draw components, which it asks for only once it has one to draw."""
    folder = Path(str(files("streamlit").joinpath("static/static/js")))
    for file in folder.glob("BidiComponent.*.js"):
        yield file.name
        yield from _IMPORT.findall(file.read_text(encoding="utf-8"))
