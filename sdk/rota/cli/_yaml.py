"""Policies as YAML, without a library for it: a key a line, and its value as JSON, which YAML 1.2 includes."""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator, Mapping

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = ("true", "false", "null")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # what a YAML text may not hold as it is
_LONG = 100  # characters of a value that has a line


def documents(many: Iterable[Mapping[str, Any]]) -> str:
    """Several documents, with ``---`` between them."""
    return "---\n".join("".join(line + "\n" for line in _lines(each)) or "{}\n" for each in many)


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    for key, value in document.items():
        text = _json(value)
        if len(text) <= _LONG or not isinstance(value, (dict, list)) or not value:
            yield "%s: %s" % (_key(key), text)
        elif isinstance(value, dict):
            yield _key(key) + ":"
            yield from ("  %s: %s" % (_key(name), _json(each)) for name, each in value.items())
        else:
            yield _key(key) + ":"
            yield from ("  - " + _json(each) for each in value)


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else _json(name)


def _json(value: Any) -> str:
    if type(value) is float:
        text = repr(value)
        return text if "." in text or "e" not in text else text.replace("e", ".0e")  # without a point it would be a text
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (_json(str(key)), _json(each)) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join(map(_json, value))
    return _UNPRINTABLE.sub(lambda found: "\\u%04x" % ord(found[0]), json.dumps(value, ensure_ascii=False))
