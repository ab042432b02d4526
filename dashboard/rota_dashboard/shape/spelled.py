"""A policy document as YAML that people read: one key a line, in the document's own order. Pure.

What is written is read again as the same by the rules of YAML 1.2, and by those of 1.1: whatever is not plainly a word is quoted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./@*-]*(?: [A-Za-z0-9_./@*-]+)*|[0-9]+(?:ms|min|[smhdw])")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # that mean something else to some reader


def spelled(document: dict[str, Any]) -> str:
    """The text, with a line end; empty for the empty document."""
    return "".join(f"{line}\n" for line in _mapping(document))


def _mapping(given: dict[str, Any]) -> Iterator[str]:
    for key, value in given.items():
        yield from _under(f"{_scalar(str(key))}:", value)


def _under(head: str, value: Any) -> Iterator[str]:
    """What stands behind a key, or a dash."""
    if isinstance(value, dict) and value:
        yield head
        yield from (f"  {line}" for line in _mapping(value))
    elif isinstance(value, list) and any(isinstance(each, (dict, list)) for each in value):
        yield head
        for each in value:
            yield from (f"  {line}" for line in _item(each))
    else:
        yield f"{head} {_flat(value)}"


def _item(value: Any) -> Iterator[str]:
    if not isinstance(value, dict) or not value:
        yield f"- {_flat(value)}"
        return
    lines = _mapping(value)
    yield f"- {next(lines)}"
    yield from (f"  {line}" for line in lines)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flat(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return '"' + "".join(map(_letter, value)) + '"' if isinstance(value, str) else json.dumps(value)


def _letter(letter: str) -> str:
    """As it stands between quotes: what cannot be seen is written out."""
    if letter.isprintable() and letter not in '"\\':
        return letter
    return f"\\U{ord(letter):08x}" if ord(letter) > 0xFFFF else json.dumps(letter)[1:-1]
