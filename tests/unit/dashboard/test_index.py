"""The one HTML page: Streamlit's own, with what ours needs in its head."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from rota_dashboard import config, index, parts, server

STATIC = Path(str(files("streamlit"))) / "static"


class Page(HTMLParser):
    """What is in a page: its tags in order, its title, its inline scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.doctypes: list[str] = []
        self.texts: dict[str, list[str]] = {"title": [], "script": [], "style": []}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "something is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("html", "head", "body", "title", "script", "style", "noscript", "nav", "div"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in self.texts and data.strip():
            self.texts[self._open[-1]].append(data)

    def handle_decl(self, decl: str) -> None:
        self.doctypes.append(decl)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_where_the_server_is_stands_before_everything_else():
    """Streamlit asks every folder for its server unless a script has told it first."""
    page = Page(index.html())
    names = [name for name, _ in page.tags]
    assert page.tags[names.index("head") + 1] == ("script", {"src": f"{parts.path()}/boot.js"})


def test_the_ways_to_other_pages_stand_above_everything():
    """Plain links in the page itself, before Streamlit has drawn anything, each to a page that there is."""
    page = Page(index.html())
    names = [name for name, _ in page.tags]
    assert page.tags[names.index("body") + 1] == ("nav", {"class": "ways", "aria-label": "Pages"})
    ways = [each["href"] for each in page.named("a") if not str(each["href"]).startswith("./_stcore/")]
    assert ways == ["/", "/", "/timeline", "/incidents", "/spectrum", "/approvals"]
    assert set(ways) <= set(server.PAGES)


def test_colours_hold_before_anything_is_drawn():
    """Light and dark, as Streamlit will draw them later: nothing flashes."""
    [style] = Page(index.html()).texts["style"]
    light, _, dark = style.partition("@media (prefers-color-scheme:dark)")
    for name, (by_day, by_night) in config.PAGE_COLOURS.items():
        assert f"--{name}:{by_day};" in light
        assert f"--{name}:{by_night};" in dark


def test_the_page_is_called_rota():
    """In the tab and in the history, from the first moment on."""
    assert Page(index.html()).texts["title"] == ["rota"]


def test_only_our_own_font_is_fetched_beforehand():
    """Streamlit's is not used."""
    fonts = [each["href"] for each in Page(index.html()).named("link") if each.get("as") == "font"]
    assert fonts == [f"{parts.path()}/inter.woff2"]
    assert "SourceSans" not in index.html()


def test_everything_the_page_names_is_there():
    """Our parts, and Streamlit's own files; nothing of anybody else's."""
    page = Page(index.html())
    named = [each.get("href") or each.get("src") for tag in ("link", "script") for each in page.named(tag)]
    for address in filter(None, named):
        if address.startswith(parts.path()):
            assert (parts.WEB / address.removeprefix(parts.path() + "/")).is_file(), address
        elif not address.startswith("./_stcore/"):
            assert (STATIC / address).is_file(), address
    assert any(str(address).startswith("./static/js/BidiComponent.") for address in named)
    assert len(named) == len(set(named))


def test_only_scripts_that_are_known_run():
    """The policy lets through what comes from here, and of what stands in the page what has not changed by a letter."""
    policy = {name: rest.split() for name, _, rest in (each.strip().partition(" ") for each in index.policy().split(";"))}
    inline = Page(index.html()).texts["script"]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in inline]
    assert inline
    assert policy["script-src"] == ["'self'", "blob:", *hashes]
    assert (policy["default-src"], policy["connect-src"]) == (["'self'"], ["'self'"])
    assert policy["frame-ancestors"] == policy["object-src"] == ["'none'"]
    assert "http" not in index.policy()
    assert "unsafe-eval" not in index.policy()


ANCHORS = {
    "head with attributes": ("<head>", '<head prefix="og: https://ogp.me/ns#">'),
    "head in capitals": ("<head>", "<HEAD>"),
    "another title": ("<title>Streamlit</title>", "<title>App</title>"),
    "another font": ("SourceSansVF-Upright", "OtherSans"),
    "no inline script": (r"window.prerenderReady = false", ""),
    "several inline scripts": ("</head>", "<script>let a = 1</script><script>let b = '<b>'</script></head>"),
    "body with attributes": ("<body>", '<body class="app">'),
    "no font": ("preload", "prefetch"),
}


@pytest.mark.parametrize(("before", "after"), ANCHORS.values(), ids=ANCHORS)
def test_a_page_of_a_later_streamlit_is_a_page(monkeypatch, before, after):
    """When what ours hooks into is called otherwise, the page is still whole, and every script in it may run."""
    given = index._streamlits()
    assert before in given
    changed = given.replace(before, after)
    monkeypatch.setattr(index, "_streamlits", lambda: changed)
    page = Page(index.html.__wrapped__())
    assert page.doctypes == ["DOCTYPE html"]
    assert [len(page.named(tag)) for tag in ("html", "head", "body", "title")] == [1, 1, 1, 1]
    assert {"id": "root"} in page.named("div")
    policy = index.policy()
    for text in page.texts["script"]:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy


def test_parts_of_streamlit_that_are_elsewhere_are_not_named(monkeypatch, tmp_path):
    """Without the files that draw components where they are now, nothing is fetched beforehand."""
    monkeypatch.setattr(
        index, "_streamlits", lambda: "<!DOCTYPE html><html><head><title>Streamlit</title></head><body></body></html>"
    )
    monkeypatch.setattr(index, "files", lambda _package: tmp_path)
    page = index.html.__wrapped__()
    assert "static/js" not in page
    assert re.search(r"<title>rota</title>", page)
