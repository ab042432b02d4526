"""Secrets made by chance, each in a shape of its own, and texts that look like secrets and are none."""

from __future__ import annotations

import string
from typing import NamedTuple

from hypothesis import strategies as st

LETTERS = string.ascii_letters + string.digits
BASE64 = LETTERS + "+/"
URLSAFE = LETTERS + "-_"


class Made(NamedTuple):
    """A text with a secret in it; of the secret nothing may be left."""

    text: str
    secret: str


def of(alphabet: str, shortest: int, longest: int | None = None) -> st.SearchStrategy[str]:
    """That many characters of an alphabet."""
    return st.text(alphabet, min_size=shortest, max_size=longest or shortest)


# Long enough that no innocent text holds it by chance, and never the word of a placeholder.
PASSWORDS = st.one_of(
    of(LETTERS, 8, 24),
    of(LETTERS + "!$%*+~^.@_-", 8, 24).filter(lambda text: text[0].isalnum() and text[-1].isalnum()),
).filter(lambda text: any(letter.isdigit() for letter in text) and not text.isdigit())

TOKENS = st.one_of(
    of(string.ascii_uppercase + string.digits, 16).map("AKIA".__add__),
    of(LETTERS, 36).map("ghp_".__add__),
    of(LETTERS + "_", 60).map("github_pat_".__add__),
    of(URLSAFE, 20).map("glpat-".__add__),
    of(string.digits, 12).map("xoxb-".__add__),
    of(LETTERS, 24).map("sk_live_".__add__),
    of(LETTERS, 24).map("rk_test_".__add__),
    of(URLSAFE, 35).map("AIza".__add__),
    of(URLSAFE, 40).map("ya29.".__add__),
    of(LETTERS, 48).map("sk-".__add__),
    of(LETTERS, 36).map("npm_".__add__),
    of(LETTERS, 34).map("hf_".__add__),
    st.tuples(st.sampled_from("apro"), of(URLSAFE, 24)).map(lambda pair: "r%s_%s" % pair),
    st.tuples(of(URLSAFE, 20), of(URLSAFE, 40), of(URLSAFE, 43)).map(lambda parts: "eyJ" + ".".join(parts)),
)  # fmt: skip

KEYS = st.sampled_from([
    "password", "DB_PASSWORD", "PGPASSWORD", "passwd", "secret", "client_secret", "clientSecret", "token", "accessToken",
    "ACCESS_TOKEN", "api_key", "apikey", "X-Api-Key", "xApiKey", "aws_secret_access_key", "private_key", "AccountKey",
    "SharedAccessKey", "credentials", "session_id", "refresh-token", "csrftoken", "dsn", "passphrase", "connection_string",
])  # fmt: skip
PAIRS = (
    *r"""
%s=%s
%s: %s
%s = %s
"%s": "%s"
'%s': '%s'
%s="%s"
%s='%s'
\"%s\": \"%s\"
--%s %s
--%s=%s
'--%s', '%s'
export %s=%s
https://h.example/x?%s=%s&rows=3
{'rows': 3, '%s': b'%s'}
%s := '%s'
""".strip().splitlines(),
)


def _pair(form: str, key: str, secret: str) -> Made:
    return Made(form % (key, secret), secret)


def _around(before: str, secret: str, after: str) -> Made:
    return Made(before + secret + after, secret)


_PEM_LINES = st.lists(of(BASE64, 64), min_size=2, max_size=8).map("\n".join)
_USERS = ("postgres://u:", "mysql+pymysql://root:", "https://bob:", "redis://:")
_BEARERS = ("Bearer ", "Authorization: Bearer ", "bearer ")
_HEADERS = ("Authorization: Digest ", "authorization: ", "Cookie: a=", "Set-Cookie: sid=")
_SIGNED = ("https://a.blob.example/c/b?sv=2022&sig=", "https://s3.example/k?X-Amz-Expires=60&X-Amz-Signature=")
_KEY_BLOCKS = ("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN RSA PRIVATE KEY-----\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n")
_BEARER_TOKENS = of(URLSAFE + ".", 20, 60).filter(lambda text: text[0].isdigit())


def _inside(befores: tuple[str, ...], made: st.SearchStrategy[str], after: str) -> st.SearchStrategy[Made]:
    return st.builds(_around, st.sampled_from(befores), made, st.just(after))


MADE = st.one_of(
    st.builds(_pair, st.sampled_from(PAIRS), KEYS, PASSWORDS),
    TOKENS.map(lambda token: Made(token, token)),
    _inside(_USERS, PASSWORDS, "@h:5432/db"),
    _inside(("https://",), of(LETTERS, 40), "@git.example/r.git"),
    _inside(_BEARERS, _BEARER_TOKENS, ""),
    _inside(_HEADERS, PASSWORDS, "; Path=/"),
    _inside(("curl -u bob:", "curl --user bob:", "'--user', 'bob:"), PASSWORDS, " https://h.example/"),
    _inside(_SIGNED, of(LETTERS, 44), "&se=2026"),
    _inside(("https://hooks.slack.com/services/T0000/B0000/",), of(LETTERS, 24), ""),
    _inside(("https://rota.example/ping/",), of(LETTERS, 32), "/nightly"),
    _inside(_KEY_BLOCKS, _PEM_LINES, "\n-----END PRIVATE KEY-----"),
)

INNOCENT = (
    *r"""
tokens_used=12
max_tokens: 4096
author: Jane Doe
passenger=Smith
compass: north
bypass=true
password=None
password: null
token=False
KeyError: 'password'
key=customer_1
primary key: id
sort_key=date
partition_key=day
foreign key (order_id)
keyboard: qwerty
monkey=1
turkey: 3
secretary: Smith
tokenize: fast
cookie_count=3
password_file=/run/secrets/db
--password-file /run/secrets/db
token_type=bearer
session_count=14
session: closed
auth: ok
passes=3
pass 2 of 3
tests passed: 31
PASS: test_x
authority: city
authentication succeeded
basic understanding of things
Basic authentication is off
bearer of bad news
Bearer authentication
signal: 15
assignment=3
design: new
d41d8cd98f00b204e9800998ecf8427e
da39a3ee5e6b4b0d3255bfef95601890afd80709
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
0190f7a2-5b1c-7e6a-8a44-112233445566
commit c00684524f1c99cf922649928c2b22096b524f1c
00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
s3://bucket/key/part-0001.parquet
https://api.example.com:8443/v1/orders?day=2026-01-01&limit=10
http://h:8080/users/@me
https://user@host.example/x
ssh://git@github.com/org/repo.git
git@github.com:org/repo.git
postgresql://host:5432/db
postgres://reader@host/db
jane.doe@example.com
https://example.com/?q=a@b
/srv/monkey/tokens/secret_santa.py
C:\Users\Jane\tokens.txt
SELECT key, token FROM t WHERE author = 'x'
2026-01-01T00:00:00Z
10.0.0.1:5432
[::1]:8080
00:1A:2B:3C:4D:5E
File "/srv/token.py", line 3, in load_key
ValueError: invalid literal for int() with base 10: 'x'
exit status 1
ModuleNotFoundError: No module named 'secrets'
docker run -u 1000:1000 image
tar -xzf backup.tgz
rsync -a --delete a/ b/
sk-learn
risk-assessment-of-the-northern-region
disk-usage-report-of-all-the-machines
EyJ
SG.1
ghp_
AKIA
ssh-rsa AAAAB3NzaC1yc2E jane@host
key: value
status code: 404
error_code=E1234
zip_code: 10115
code=0
connection: keep-alive
keep-alive
Größe: 3 µm
日本語のテキスト: はい
etl.nightly
rows=12
=
:
://
@
token=%s
password={password}
password=$DB_PASSWORD
def f(token: str, password: Optional) -> None:
num_keys=3
""".strip().splitlines(),
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "",
    " ",
)
