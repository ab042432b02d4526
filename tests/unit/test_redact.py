"""Which keys and texts are secret, and which are not. Generated ones are in ``tests/property/test_redact.py``."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import SDK
from secrets_made import INNOCENT

from rota.wire import events, names, redact
from rota.wire.shapes import without_secrets

HIDDEN = '"stringValue":"[redacted]"'


@pytest.fixture(autouse=True)
def only_our_keys():
    """No further keys, before and after."""
    events.hide([])
    yield
    events.hide([])


@pytest.mark.parametrize("text", INNOCENT)
def test_an_innocent_text_leaves_as_it_came(text):
    """Ids, hashes, commits, addresses without passwords and words that only resemble others are not touched."""
    assert redact.redacted(text) == text
    assert redact.redacted(f"({text}) and more") == f"({text}) and more"


@given(st.uuids().map(str) | st.binary(min_size=4, max_size=64).map(bytes.hex) | st.integers().map(str) | st.datetimes().map(str))
@settings(deadline=None)
def test_ids_and_hashes_are_never_taken_for_secrets(text):
    """Nothing is guessed from randomness: hexadecimal digits, UUIDs and numbers stay."""
    for around in ("%s", "commit %s", "id=%s", "key: %s", "https://h.example/%s?run=1"):
        assert redact.redacted(around % text) == around % text


PIECES = (
    "Bearer ",
    "bASIC ",
    "-u",
    "-u ",
    "--user=",
    " ",
    "\t",
    "a:b",
    "1234567890abcdef",
    "token",
    "TOKEN",
    "pw",
    "=",
    ":",
    "-",
    "--",
    "ghp_",
    "https",
    "://",
    "@",
    "?sig=",
    "&hmac=",
    "'",
    "cookie",
    "/ping/",
    "-----BEGIN PRIVATE KEY-----",
    "eyJ",
    "sk-",
    "\n",
    "r",
    "p_",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@settings(max_examples=1000, deadline=None)
def test_the_quick_look_is_right_when_it_says_no(text):
    """A text that the plain search lets pass is one that the regular expressions would not change."""
    if not redact.may_hold(text):
        assert without_secrets(text) == text


@pytest.mark.parametrize("key", [
    "password", "DB_PASSWORD", "dbPassword", "db.password", "PGPASSWORD", "user-passwd", "mysql_pwd", "passphrase",
    "Password", "PassWord",
])  # fmt: skip
def test_under_a_password_even_numbers_are_hidden(key):
    """A password may be all digits."""
    for given_value in ("hunter2", 1234, 1.5, b"x", ["a"], {"a": 1}):
        assert HIDDEN in events.attribute(key, given_value)


@pytest.mark.parametrize("key", [
    "secret", "client_secret", "clientSecret", "token", "accessToken", "csrftoken", "X-Auth-Token", "api_key", "apikey",
    "APIkey", "X-Api-Key", "xApiKey", "aws_secret_access_key", "AWSAccessKeyId", "private_key", "privatekey", "AccountKey",
    "authorization", "Proxy-Authorization", "http.request.header.cookie", "Set-Cookie", "session", "session_id",
    "sessionid", "credentials", "dsn", "SENTRY_DSN", "connectionString", "password_hash", "jwt", "auth", "basic_auth",
    "db_pass", "ssh-key", "signing_key", "refreshTokens",
])  # fmt: skip
def test_under_a_secret_key_texts_are_hidden_and_numbers_stay(key):
    """``token=5`` counts something; whether there is a token is no secret either."""
    assert HIDDEN in events.attribute(key, "x")
    assert HIDDEN in events.attribute(key, {"inner": "x"})
    for given_value, shown in ((5, '"5"'), (0.5, "0.5"), (True, "true"), (None, "{}")):
        assert shown in events.attribute(key, given_value)


@pytest.mark.parametrize("key", [
    "rows", "author", "authority", "passenger", "passengers", "compass", "bypass", "passed", "passes", "tokens_used",
    "token_count", "max_token", "token_type", "tokenizer", "secretary", "secret_name", "password_file", "has_password",
    "cookie_count", "session_count", "key", "primary_key", "sort_key", "keyboard", "monkey", "turkey", "design", "signal",
    "accessed", "private", "account", "api", "gen_ai.usage.input_tokens", "idempotency_key", "assets", "encode", "city",
    "_", "---", "ключ",
])  # fmt: skip
def test_a_key_that_only_resembles_one_is_open(key):
    """Words decide, not letters."""
    assert '"Berlin"' in events.attribute(key, "Berlin")


def test_none_of_our_own_names_is_secret():
    """What rota itself writes is never hidden for its name."""
    ours = {value for constant, value in vars(names).items() if constant.isupper()}
    assert len(ours) > 50
    assert {name for name in ours if redact.secrecy(name)} == set()


def test_further_keys_hide_whatever_is_under_them():
    """They match like the known ones, by whole words side by side; and are forgotten when others are named."""
    events.hide(["customer_name", "iban"])
    assert HIDDEN in events.attribute("new.customerName", "Jane")
    assert HIDDEN in events.attribute("IBAN", 5)
    assert redact.redacted("iban: DE02 left") == "iban: [redacted] left"
    assert '"Jane"' in events.attribute("customer", "Jane")
    events.hide([])
    assert '"5"' in events.attribute("IBAN", 5)


def test_regular_expressions_are_loaded_for_a_text_that_needs_them_only():
    """A script that records rows and cities pays for no import; one that records a secret does."""
    program = (
        "import sys, rota; rota.watch('etl'); rota.record(rows=12, city='Berlin', of='0190f7a2-5b1c-7e6a-8a44-112233445566');"
        "before = 're' in sys.modules; from rota.wire.events import text; text('token=x'); print(before, 're' in sys.modules)"
    )
    env = {
        "PYTHONPATH": str(SDK),
        "ROTA_HOME": os.devnull,
        "ROTA_AGENT": "off",
        "ROTA_DETACH": "off",
        "ROTA_ENDPOINT": "http://127.0.0.1:9",
    }
    done = subprocess.run([sys.executable, "-S", "-s", "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("postgres://u:p@h/db", "postgres://u:[redacted]@h/db"),
        ("postgres://u:p@ss@h/db", "postgres://u:[redacted]@h/db"),
        ("postgres://u:p/w@h:5432/db", "postgres://u:[redacted]@h:5432/db"),
        ("ValueError: password=hunter2, is bad", "ValueError: password=[redacted], is bad"),
        ("['mysql', '--password', 'hunter2', '-u', 'bob']", "['mysql', '--password', '[redacted]', '-u', 'bob']"),
        ("['curl', '-u', 'bob:hunter2', 'https://x']", "['curl', '-u', 'bob:[redacted]', 'https://x']"),
        ("curl -u bob:hunter2 https://x", "curl -u bob:[redacted] https://x"),
        ("curl -H 'Authorization: Bearer abc.def.ghi123' https://x", "curl -H 'Authorization: [redacted]' https://x"),
        ("{'password': 'hunter2', 'rows': 3}", "{'password': '[redacted]', 'rows': 3}"),
        ("{'secrets': ['a', 'b'], 'rows': 3}", "{'secrets': [redacted], 'rows': 3}"),
        ('connect(password="hun ter2", rows=3)', 'connect(password="[redacted]", rows=3)'),
        ("https://h/x?token=abc&rows=3", "https://h/x?token=[redacted]&rows=3"),
        ("AccountName=x;AccountKey=abc/def==;EndpointSuffix=y", "AccountName=x;AccountKey=[redacted];EndpointSuffix=y"),
        ("host=h password=p4ss user=u", "host=h password=[redacted] user=u"),
        ("Authorization: Basic dXNlcjpwYXNz\nHost: h", "Authorization: [redacted]\nHost: h"),
        ("sent Basic dXNlcjpwYXNz to h", "sent Basic [redacted] to h"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted]\nb"),
        ("MIIE\nabcd\n-----END PRIVATE KEY-----\nb", "[redacted]\nb"),
        ("password=(a)b,c; rows=3", "password=[redacted]; rows=3"),
        ("password='ghp_" + "a" * 36 + " and more'", "password='[redacted]'"),
        ("dsn=postgres://u:p@h/db", "dsn=postgres://u:[redacted]@h/db"),
        ("token=12345 token=123456", "token=12345 token=[redacted]"),
        ("session=abc; session: closed", "session=[redacted]; session: closed"),
    ],
)  # fmt: skip
def test_what_is_around_a_secret_can_still_be_read(text, left):
    """Only the secret goes: who it was for, the host, the other pairs and the quotes stay."""
    assert redact.redacted(text) == left


@pytest.mark.parametrize("letter", [" ", "\n", "a", "=", "-", "é", "\ud800", "\0"])
def test_a_long_text_of_anything_is_shortened(letter):
    """Nothing about a text, not even that it has no words, keeps the rest of its record from leaving."""
    shown = redact.shortened(letter * 100_000, 100, 300)
    assert "99600 characters left out" in shown
    assert len(shown) < 500
    assert events.value(letter * 100_000).startswith('{"stringValue":"')
