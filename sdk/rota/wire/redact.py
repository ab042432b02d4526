"""What must not leave a host, found by a key's words and by a text's shape; pure. ``events`` asks it about all that it renders.

Regular expressions cost a script milliseconds, so they are in ``shapes``, loaded for the first text in which a plain search
finds a hint. A secret that has neither a telling key nor a known shape is not found: guessing by randomness would take ids,
hashes and commits away too.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterable

REDACTED = "[redacted]"

# What a key says about its value. Booleans always stay: that there is a password is no secret.
OPEN = 0
WEAK = 1  # a text is hidden, but in prose ("session: closed") only where it is quoted or assigned
TEXT = 2  # a text is hidden, a number stays: token=5 counts
NUMBER = 3  # a number is hidden, too

_NUMBERS_TOO = ("password", "passwords", "passwd", "passphrase", "passcode", "pwd", "otp")
_SECRET = (*_NUMBERS_TOO, "secret", "secrets", "token", "authorization", "credential", "credentials", "cookie", "cookies",
           "bearer", "jwt", "dsn", "apikey")  # fmt: skip
_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "privatekey", "secretkey", "accesskey",
            "credentials")  # fmt: skip
_WEAK = ("session", "sessionid", "auth", "pass", "pw", "sid")  # when it is the last word
_KEYS = ("api", "access", "private", "secret", "signing", "encryption", "account", "shared", "auth", "ssh", "master", "session")
_PAIRS = (*((first, "key") for first in _KEYS), ("session", "id"), ("connection", "string"), ("sas", "signature"),
          ("access", "signature"), ("access", "tokens"), ("refresh", "tokens"), ("pin", "code"))  # fmt: skip
# Last and first words which make it a fact about the secret.
_ABOUT = frozenset((
    "count", "counts", "type", "kind", "name", "names", "length", "size", "used", "total", "limit", "budget", "expires", "expiry",
    "expired", "ttl", "age", "version", "status", "path", "file", "files", "url", "uri", "arn", "policy", "rotation", "seconds",
    "ms", "at", "required", "enabled", "valid", "attempts", "index", "ids", "in", "manager", "error", "errors", "exception",
))  # fmt: skip
_ABOUT_FIRST = frozenset(("has", "is", "no", "num", "max", "min", "missing"))

_LONGEST_KEY = 256  # characters of it that are looked at, the last ones

_secrecy_of: dict[str, int] = {}  # of the keys that were asked about
_MOST_KEYS = 1000

_further: tuple[tuple[str, ...], ...] = ()  # ROTA_REDACT
_further_hints: tuple[str, ...] = ()


def further(keys: Iterable[str]) -> None:
    """Hide what stands under these keys, too: a key that has the words of one of them, side by side, whatever it holds."""
    global _further, _further_hints
    _further = tuple(sorted({tuple(words(key)) for key in keys} - {()}))
    _further_hints = tuple(sorted({key[0] for key in _further}))
    _secrecy_of.clear()


def secrecy(key: str) -> int:
    """OPEN, WEAK, TEXT or NUMBER. ``dbPassword``, ``DB_PASSWORD`` and ``db.password`` are the same key."""
    key = key[-_LONGEST_KEY:]
    level = _secrecy_of.get(key)
    if level is None:
        level = _decide(key)
        if len(_secrecy_of) < _MOST_KEYS:
            _secrecy_of[key] = level
    return level


def _decide(key: str) -> int:
    found = words(key)
    if any(_has(found, wanted) for wanted in _further):
        return NUMBER
    if not found or found[-1] in _ABOUT or found[0] in _ABOUT_FIRST:
        return OPEN
    found += words(key.lower())  # "APIkey", "PassWord"
    if found[-1] in _NUMBERS_TOO or found[-1].endswith(("password", "passwd", "passphrase")):
        return NUMBER
    if any(word in _SECRET or word.endswith(_ENDINGS) for word in found) or any(_has(found, pair) for pair in _PAIRS):
        return TEXT
    return WEAK if found[-1] in _WEAK else OPEN


def words(key: str) -> list[str]:
    """``["x", "api", "key"]`` for ``X-Api-Key``, ``xApiKey`` and ``X_API_KEY``."""
    spaced, before = "", " "
    for letter, after in zip(key, key[1:] + " "):
        begins_word = letter.isupper() and (not before.isupper() or after.islower())
        spaced += " " + letter if begins_word else letter if letter.isalnum() else " "
        before = letter
    return spaced.lower().split()


def hides(level: int, given: object) -> bool:
    """Whether a value under a key of that secrecy is hidden, whatever is in it."""
    if not level or given is None or given is True or given is False:
        return False
    return level == NUMBER or not isinstance(given, (int, float))


# Where a text has the mark, one of these is looked for; where it has none of them, no shape can be in it.
_EXACT = (
    ("", ("AKIA", "ASIA", "AIza", "eyJ", "dapi")),
    (".", ("ya29.", "SG.", "hvs.")),
    ("/", ("://", "/ping/", "/webhooks/", "/services/", "/bot")),
    (" ", ("Bearer ", "bearer ", "BEARER ", "Basic ", "basic ", "BASIC ")),
    ("_", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "k_live_", "k_test_", "whsec_", "npm_", "hf_", "dop_v1_",
           "glsa_", "shpat_", "rp_", "rr_", "ro_", "ra_")),
    ("-", ("glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "xox", "xapp-", "GOCSPX-", "sk-", "pypi-", "-----BEGIN", "-----END",
           "-u ", "-u'", '-u"', "-user ", "-user=", "-user'", '-user"')),
)  # fmt: skip
_WORDS = ("pass", "pwd", "pw", "otp", "secret", "token", "key", "auth", "cred", "cookie", "session", "sid", "bearer", "basic",
          "dsn", "jwt", "sig", "hmac", "code", "connection")  # fmt: skip
SHORTEST = 16  # below that, a secret needs a pair or a space before it to be one


def may_hold(text: str) -> bool:
    """Whether a secret may be in a text: a search that costs about a microsecond, and is right when it says no."""
    for mark, hints in _EXACT:
        if mark in text:
            for hint in hints:
                if hint in text:
                    return True
    if "=" in text or ":" in text or ("-" in text and " " in text):
        lowered = text.lower()
        for word in _WORDS + _further_hints:
            if word in lowered:
                return True
    return False


def redacted(text: str) -> str:
    """``text`` with what looks like a secret in it replaced by ``[redacted]``. Doing it twice changes nothing more."""
    if not may_hold(text):
        return text
    from rota.wire.shapes import without_secrets

    return without_secrets(text)


MARGIN = 8192  # characters looked at beyond a cut, so that none goes through the middle of a secret


def shortened(text: str, head: int, tail: int) -> str:
    """``text`` redacted; of a long one the first ``head`` and the last ``tail`` characters.

    Never looks at more than these and a margin: a text of gigabytes costs no more.
    """
    left_out = len(text) - head - tail
    if left_out <= 2 * MARGIN:
        text = redacted(text)
        left_out = len(text) - head - tail
        if left_out <= 0:
            return text
        first, last = text[:head], text[-tail:] if tail else ""
    else:
        first, last = _beginning(text, head), ending(text, tail) if tail else ""
    return first + "\n… %d characters left out …\n" % left_out + last


def ending(text: str, size: int) -> str:
    """The last ``size`` characters of ``text``, which may itself begin in the middle of a secret, redacted."""
    return redacted("".join(text[-size - MARGIN :].split(None, 1)[-1:]))[-size:]


def _beginning(text: str, size: int) -> str:
    """The same of the first ``size``. The word at the cut may be half a secret, of no shape; a text of spaces has no word."""
    return redacted("".join(text[: size + MARGIN].rsplit(None, 1)[:1]))[:size]


def _has(found: list[str], wanted: tuple[str, ...]) -> bool:
    size = len(wanted)
    return any(tuple(found[i : i + size]) == wanted for i in range(len(found) - size + 1))
