"""mkdocs hook: a navigation entry that names a folder (`decisions/`) becomes the list of its pages, newest number last."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Called by mkdocs with its configuration."""
    docs = Path(config["docs_dir"])
    config["nav"] = [entry for entry in (_filled(entry, docs) for entry in config["nav"]) if entry]
    return config


def _filled(entry: dict[str, Any], docs: Path) -> dict[str, Any]:
    ((title, target),) = entry.items()
    if not (isinstance(target, str) and target.endswith("/")):
        return entry
    pages = [path.relative_to(docs).as_posix() for path in sorted((docs / target).glob("*.md"))]
    return {title: pages} if pages else {}
