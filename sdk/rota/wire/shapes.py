"""Shapes of secrets in a text, as regular expressions. Loaded for the first text that has a hint of one.

Each is linear: every repetition either begins at the start of a word (a look-behind says so), ends at a character that its
class does not hold, or is bounded by a number. ``tests/property/test_redact.py`` tries them on texts that are made to be slow.
"""

from __future__ import annotations

import re

from rota.wire.redact import REDACTED, TEXT, WEAK, secrecy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Callable, Match, Pattern

_QUOTED = r"""[bBrRuUfF]{0,2}(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|\\{1,3}["'][^"'\\\n]*(?:\\{1,3}["'])?)"""
# A bare value goes to the next space. Signs that may close or part pairs belong to it unless that is what they do.
_CLOSERS = r"""&;,)\]}>"'"""
_BARE = (
    r"""(?:[^\s%s]|[%s](?![%s]{0,8}(?:\s|\Z|\\n|[\w.\-]{1,64}["']?\s{0,4}[=:])))+""" % (_CLOSERS, _CLOSERS, _CLOSERS)
)  # fmt: skip

_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|\A[A-Za-z0-9+/=\s\\]*-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",  # the rest of one, at a cut
    re.DOTALL,
)
_TOKENS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA)[A-Z0-9]{12,}"
    r"|eyJ[\w\-]{10,}(?:\.[\w\-]*)*"  # JWT
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|gl(?:pat|ptt|dt|rt|cbt)-[\w\-.]{16,}"
    r"|xox[a-z]-[\w\-]{10,}|xapp-[\w\-]{10,}"
    r"|[srp]k_(?:live|test)_\w{10,}|whsec_[\w+/=]{16,}"
    r"|AIza[\w\-]{30,}|ya29\.[\w\-]{20,}|GOCSPX-[\w\-]{20,}"
    r"|sk-[\w\-]{32,}"
    r"|SG\.[\w\-]{16,}\.[\w\-]{16,}"
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w\-]{40,}|hf_[A-Za-z0-9]{30,}|dop_v1_[a-f0-9]{40,}|glsa_\w{30,}|shpat_[a-f0-9]{30,}"
    r"|dapi[a-f0-9]{32}|hvs\.[\w\-]{20,}"
    r"|r[aopr]_[\w\-]{24}(?![\w\-])"  # rota's own keys
    r")"
)
_SCHEME = r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]*://"
_USERINFO = re.compile(
    r"(%s[^\s/?#@:\"'<>]*:)(?:[^\s\"'<>/?#]+(?=@)|(?!\d{1,5}[/?#])[^\s\"'<>@]{1,256}(?=@))|(%s)[^\s/?#@:\"'<>]{20,}(?=@)"
    % (_SCHEME, _SCHEME)
)
_IN_PATH = re.compile(r"(/ping/|/webhooks/\d{5,}/|hooks\.slack\.com/services/\w+/\w+/|/bot\d{5,}:)[\w\-]{16,}")
_QUERY = re.compile(r"([?&](?:[\w\-]{0,40}signature|[\w\-]{0,40}credential|sig|hmac|key|code)=)[^&\s\"'<>#]{8,}", re.IGNORECASE)
_HEADER = re.compile(
    r"(?<![\w\-])((?:proxy-)?authorization|(?:set-)?cookie)(\s{0,8}:\s{0,8})(?=[^\s\"'])[^\n\"']+", re.IGNORECASE
)
_SCHEMED = re.compile(r"(?<![\w\-])([Bb]earer|BEARER|[Bb]asic|BASIC)(\s{1,8})(?![A-Za-z]?[a-z]{1,64}(?:[^\w]|\Z))[\w\-.~+/=]{8,}")
_USER_OPTION = re.compile(
    r"(?<![\w\-])((?:-u|--(?:proxy-)?user)(?:[\"']?,? {1,4}[\"']?|=)(?!\d{1,9}:\d{1,9}(?:[\s\"']|\Z))[^\s:\"'/]{1,64}:)[^\s\"']+"
)
_FLAG = re.compile(r"(?<![\w\-])(--?[A-Za-z][\w\-]*)[\"']?,? {1,4}(?![\"']?[\-=:])")
_KEY = re.compile(r"(?<![\w.\-])([\w.\-]+)\\{0,3}[\"']?\]?[ \t]{0,8}(:=|=>|==|[=:])[ \t]{0,8}")
_VALUE = re.compile(r"%s|[\[({][^\n\[\](){}]*[\])}](?=[\s,;&)\]}>\"\']|\Z)|%s" % (_QUOTED, _BARE))
_PLACEHOLDER = re.compile(r"%[sdr]|\$?\{\w*\}|\$[A-Z_]+")

_PLAIN = frozenset(
    ("", "none", "null", "nil", "true", "false", "undefined", "str", "int", "bool", "bytes", "float", "optional", "any", "object")
)


def without_secrets(text: str) -> str:
    """``text`` with every shape in it replaced."""
    if "PRIVATE KEY" in text:
        text = _KEY_BLOCK.sub(REDACTED, text)
    text = _TOKENS.sub(REDACTED, text)
    if "/" in text:
        text = _USERINFO.sub(lambda found: (found[1] or found[2]) + REDACTED, text)
        text = _QUERY.sub(_after_first, _IN_PATH.sub(_after_first, text))
    text = _HEADER.sub(_after_two, text)
    text = _SCHEMED.sub(_after_two, text)
    if "-" in text:
        text = _USER_OPTION.sub(_after_first, text)
        text = _without_values(text, _FLAG, _is_secret_flag)
    return _without_values(text, _KEY, _is_secret_pair)


def _without_values(text: str, keys: Pattern[str], is_secret: Callable[[Match[str], str], bool]) -> str:
    """``text`` without the values that follow keys. What follows an innocent key may be a key itself: ``Error: password=…``."""
    parts, done = [], 0
    for found in keys.finditer(text):
        value = _VALUE.match(text, found.end()) if found.start() >= done and secrecy(found[1]) else None
        if value and is_secret(found, value[0]):
            parts += [text[done : value.start()], _hidden(value[0])]
            done = value.end()
    return "".join(parts) + text[done:]


def _is_secret_flag(found: Match[str], value: str) -> bool:
    """``--password hunter2``, also as two items of a printed list."""
    return secrecy(found[1]) >= TEXT and not _is_hidden(value)


def _is_secret_pair(found: Match[str], value: str) -> bool:
    """``password=hunter2``, ``"token": "…"``, ``X-Api-Key: …``; whether the key tells is decided as for an attribute's."""
    level = secrecy(found[1])
    if (
        value.strip("'\"").lower() in _PLAIN
        or _PLACEHOLDER.fullmatch(value.rstrip("'\""))
        or _is_hidden(value)
        or (level == WEAK and found[2] == ":" and not _is_quoted(value))
    ):
        return False
    return level > TEXT or not (len(value) < 6 and value.isdigit())


def _after_first(found: Match[str]) -> str:
    return found[1] + REDACTED


def _after_two(found: Match[str]) -> str:
    return found[1] + found[2] + REDACTED


def _hidden(value: str) -> str:
    """The quotes stay, so that what is around it can still be read."""
    if value[0] in "\"'":
        return value[0] + REDACTED + (value[0] if len(value) > 1 and value[-1] == value[0] else "")
    return REDACTED


def _is_quoted(value: str) -> bool:
    return value[0] in "\"'\\" or value[1:2] in ("'", '"')


def _is_hidden(value: str) -> bool:
    """By an earlier shape, or an earlier time. Of an address, the rest may stay."""
    inner = value.strip("\"'\\")
    if "://" in inner and REDACTED in inner:
        return True
    return inner == REDACTED if _is_quoted(value) else inner.startswith(REDACTED[:-1])  # the bracket may count as one that closes
