"""The documentation says what the code says, and builds to a site that needs nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs_blocks import DOCS, blocks, commands, looks_like, pages
from orchestrators import SOURCES, python_of

import rota
from rota.wire import names

TOP = DOCS.parent
SNIPPETS = [block for page in pages() for block in blocks(page) if block.kind == "python" and not block.title]


def test_the_generated_pages_are_in_step():
    """Settings and commands in the reference are those of the code."""
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", rota.__all__)
def test_every_public_name_is_in_the_reference(name):
    """No public name of the SDK is undocumented."""
    assert f"\n## rota.{name}\n" in (DOCS / "reference" / "sdk.md").read_text()


def test_every_attribute_of_ours_is_in_the_reference():
    """Who reads or writes rota's wire finds each `rota.*` name explained."""
    ours = {value for constant, value in vars(names).items() if constant.isupper() and value.startswith("rota.")}
    page = (DOCS / "reference" / "wire.md").read_text()
    assert {name for name in ours if f"`{name}`" not in page} == set()


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: f"{block.page}:{block.line}")
def test_every_python_snippet_runs(block, tmp_path):
    """A snippet on a page is a whole script that runs, with no collector and without a word on stderr."""
    script = tmp_path / "snippet.py"
    script.write_text(block.body)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ROTA_", "OTEL_", "TRACEPARENT"))}
    environment = {**inherited, "ROTA_HOME": str(tmp_path / "home"), "ROTA_AGENT": "off", "ROTA_ENDPOINT": "http://127.0.0.1:9"}
    folder, _, page = str(block.page).rpartition("/")
    of_system = folder == "integrations"
    python = python_of(page.removesuffix(".md")) if of_system else sys.executable
    environment |= {"PYTHONPATH": SOURCES} if of_system else {}
    done = subprocess.run([python, script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_only_installing_is_left_to_the_reader():
    """What the tests do not run is a command that installs, and nothing else."""
    elsewhere = [line for page in pages() for block in blocks(page) if "elsewhere" in block.roles for line in commands(block)]
    assert elsewhere
    assert [command.line for command in elsewhere if not command.line.startswith("pip install ")] == []


def test_every_block_is_of_a_known_kind():
    """A block whose kind the tests do not know would never be checked."""
    known = {"python", "console", "text", "sh", "json", "sql", "yaml", "nginx", "toml", "ini"}
    assert {block.kind for page in pages() for block in blocks(page)} <= known


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    done = subprocess.run(
        command, cwd=TOP, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_site_builds_without_a_warning(site):
    """A link to a page or a heading that is not there fails the build."""
    assert (site / "index.html").is_file()
    assert (site / "reference" / "settings" / "index.html").is_file()


def test_the_site_loads_nothing_from_elsewhere(site):
    """Scripts, styles, fonts and pictures come from the site itself; only links that a reader clicks lead away."""
    loaded = re.compile(r"""(?:<(?:script|img|iframe|source)\b[^>]*\bsrc|<link\b[^>]*\bhref)=["']?((?:https?:)?//[^"'\s>]+)""")
    for page in site.rglob("*.html"):
        assert loaded.findall(page.read_text()) == [], page
    for style in site.rglob("*.css"):
        assert re.findall(r"""(?:url\(|@import)\s*["']?(?:https?:)?//""", style.read_text()) == [], style


@pytest.mark.parametrize(
    ("output", "shown", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a b c", "a ... c", True),
        ("a b", "...b...", True),
        ("a b", "a", False),
        ("ab", "...c...", False),
    ],
)
def test_dots_stand_for_any_text_and_nothing_else_does(output, shown, same):
    """The comparison with a page's output can fail."""
    assert looks_like(output, shown) is same
