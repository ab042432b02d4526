"""The code blocks of the documentation, and what the tests do with each kind.

- ```` ```python ```` with a ``title``: the file of that name, for the commands below it; without one, a script that has to run.
- ```` ```console ````: lines with ``$ `` are run by bash, what follows is their output; ``...`` stands for any text.
- ```` ```{.console .background} ````: a server that runs until the end of the page.
- ```` ```{.console .elsewhere} ````: not run by the tests, because it installs.
- ``text``, ``yaml``, ``sh`` and the like: shown, not run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[1] / "docs"
_FENCE = re.compile(r"^```(?P<info>[^\n`]+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    """One fenced block. ``kind`` is its first word; ``title`` is empty where it has none."""

    page: str
    line: int
    kind: str
    roles: frozenset[str]
    title: str
    body: str

    @property
    def is_run(self) -> bool:
        """Whether the tests run it."""
        return "elsewhere" not in self.roles


class Command(NamedTuple):
    """A command of a console block and the output that the page shows; empty: the page shows none."""

    line: str
    output: str


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        words = re.sub(r"[{}.]", " ", match["info"].partition("title=")[0]).split()
        title = _TITLE.search(match["info"])
        line = text.count("\n", 0, match.start()) + 1
        yield Block(str(page.relative_to(DOCS)), line, words[0], frozenset(words[1:]), title[1] if title else "", match["body"])


def commands(block: Block) -> Iterator[Command]:
    """The commands of a console block."""
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def looks_like(output: str, shown: str) -> bool:
    """Whether ``output`` is what the page shows, ``...`` standing for any text."""
    parts = [re.escape(part.strip()) for part in shown.strip().split("...")]
    return re.fullmatch(".*".join(parts), output.strip(), re.DOTALL) is not None
