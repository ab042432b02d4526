"""Redaction: made-up secrets at random places are found, whatever is around them, and costs stay in proportion."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import SDK
from secrets_made import INNOCENT, KEYS, MADE, PASSWORDS, TOKENS, Made

from rota import _failure
from rota.wire import events, redact

WORDS = st.lists(
    st.sampled_from(("rows", "failed:", "at", "line 3,", "\n", "(see log)", "x=1", "é", '"', "http://h/x")), max_size=6
)
CONTEXT = WORDS.map(" ".join)


@given(CONTEXT, MADE, CONTEXT)
@settings(deadline=None)
def test_a_secret_of_a_known_shape_is_taken_out_of_any_text(before, made, after):
    """Nothing of it stays, wherever it stands."""
    shown = redact.redacted(f"{before} {made.text} {after}")
    assert made.secret not in shown
    assert redact.REDACTED in shown


@given(CONTEXT, MADE, CONTEXT)
@settings(deadline=None)
def test_redacting_twice_changes_nothing_more(before, made, after):
    """Texts pass more than one room on their way out."""
    once = redact.redacted(f"{before} {made.text} {after}")
    assert redact.redacted(once) == once


@given(CONTEXT, st.sampled_from(INNOCENT), CONTEXT)
@settings(deadline=None)
def test_what_is_around_a_secret_stays(before, innocent, after):
    """A text without a secret leaves as it came, whatever innocent texts are put together."""
    text = f"{before} ; {innocent} ; {after}"
    if '"' not in text:  # an odd quote opens a value that goes to the end of its line
        assert redact.redacted(text) == text


NESTING = st.lists(st.sampled_from(("list", "tuple", "dict")), max_size=6)


def nested(inner: object, kinds: list[str]) -> object:
    """``inner`` in so many lists, tuples and mappings."""
    for kind in kinds:
        inner = {"list": [1, inner], "tuple": (inner, None), "dict": {"rows": 1, "inner": inner}}[kind]
    return inner


@given(MADE, NESTING)
@settings(deadline=None)
def test_a_secret_deep_in_a_fact_is_taken_out(made, kinds):
    """Lists and mappings are looked into as deep as they are rendered."""
    shown = json.loads(events.attribute("fact", nested(made.text, kinds)))
    assert made.secret not in json.dumps(shown, ensure_ascii=False)
    assert redact.REDACTED in str(shown) or len(kinds) > 3


@given(KEYS, PASSWORDS, NESTING)
@settings(deadline=None)
def test_what_stands_under_a_secret_key_never_leaves(key, password, kinds):
    """Whatever its shape, and however deep, nothing of the value is rendered."""
    fact = nested(password, kinds)
    assert password not in events.attribute(key, fact)
    assert password not in events.attribute("outer", {"inner": [{key: fact}]})


WORDY = Made('password="%s"' % " ".join(["w0rd"] * 30), "w0rd")  # a phrase: its last words alone look innocent


@given(MADE | st.just(WORDY), st.integers(0, 150), st.booleans())
@settings(deadline=None)
def test_no_cut_goes_through_a_secret(made, inside, is_head):
    """Where a long text is cut, wherever in a secret that is, no part of it is left that nobody recognises."""
    filler, half = "lorem ipsum " * 6000, events.MAX_TEXT // 2
    before, after = (filler[: half - inside], filler) if is_head else (filler, filler[: half - inside])
    shown = events.value(f"{before} {made.text} {after}")
    innocent = made.text.replace(made.secret, "")
    parts = {made.secret[at : at + 8] for at in range(max(1, len(made.secret) - 7))}
    assert [part for part in parts if part in shown and part not in innocent] == []


@given(MADE)
@settings(deadline=None)
def test_the_message_and_the_stack_of_an_exception_hold_no_secret(made):
    """Nor do its causes."""
    try:
        try:
            raise KeyError(made.text)
        except KeyError as cause:
            raise ValueError("cannot load: " + made.text) from cause
    except ValueError as error:
        tail = events.failed_tail(0, _failure.message(error), _failure.describe(error))
    assert made.secret not in json.dumps(json.loads("{%s}" % tail[1:]), ensure_ascii=False)


@given(TOKENS)
@settings(deadline=None)
def test_a_plain_search_never_says_no_to_a_token(token):
    """The quick look before the regular expressions misses none of them."""
    assert redact.may_hold(token)


SLOW = {
    "letters": "a" * 1_000_000,
    "commas": "password=" + "," * 1_000_000,
    "keys": "password=" * 110_000,
    "colons": ":" * 1_000_000,
    "schemes": "a://b:" * 160_000,
    "quotes": 'token="' * 140_000,
    "backslashes": "token=" + "\\" * 1_000_000,
    "pem": "-----BEGIN PRIVATE KEY-----" * 37_000,
    "ends": "-----END PRIVATE KEY-----" + "A " * 500_000,
    "dashes": "-" * 999_990 + "-token x",
    "spaces": "token" + " " * 1_000_000 + "=",
    "jwt": "eyJaaaaaaaaaa" * 77_000,
    "dots": "eyJ" + "a." * 500_000,
    "brackets": "token=[" * 140_000,
    "flags": "--token " * 125_000,
    "users": "-u a:" * 200_000,
    "at": "http://" + "@" * 1_000_000,
    "bearer": "Bearer " * 140_000,
    "query": "?sig=" * 200_000,
    "cookie": "cookie:" * 140_000,
    "closers": "pwd=" + "a,b;" * 250_000,
    "words": "key.word-x_" * 90_000 + "=",
}


@pytest.mark.parametrize("name", SLOW)
def test_a_text_that_is_made_to_be_slow_is_not(name):
    """A megabyte takes a second or two, where a square would take an hour: the process is killed after a minute."""
    program = "import sys; from rota.wire.redact import redacted; redacted(sys.stdin.read())"
    subprocess.run(
        [sys.executable, "-c", program], input=SLOW[name], text=True, env={"PYTHONPATH": str(SDK)}, check=True, timeout=60
    )
