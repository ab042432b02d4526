"""TLS as a client: which files can be used, and what people are told to do when a connection fails."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from certificates import Pair
from scripts import EXTREMES, PYTHONS, SDK

from rota.wire import tls

CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY = tls.NAMES


@pytest.fixture(scope="module")
def ours(authority) -> Pair:
    """A certificate and its key."""
    return authority.sign("ours")


def refusal(*files: object) -> str:
    """Why these files make no context."""
    with pytest.raises(ValueError) as caught:
        tls.context(*map(str, files))
    return str(caught.value)


def test_certificate_and_key_may_be_one_file(ours, tmp_path):
    """Then the key needs no setting."""
    both = tmp_path / "both.pem"
    both.write_bytes(ours.key.read_bytes() + ours.certificate.read_bytes())
    assert isinstance(tls.context("", str(both), ""), ssl.SSLContext)


def test_only_the_named_authority_is_trusted(authority, ours):
    """Not the system's besides."""
    made = tls.context(str(authority.certificate), str(ours.certificate), str(ours.key))
    assert (len(made.get_ca_certs()), made.verify_mode, made.check_hostname) == (1, ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("missing", range(3), ids=tls.NAMES)
def test_a_file_that_cannot_be_read_is_named(authority, ours, tmp_path, missing):
    """With its setting: OpenSSL says neither."""
    files = [authority.certificate, ours.certificate, ours.key]
    files[missing] = tmp_path / "none.pem"
    assert refusal(*files).startswith(f"{tls.NAMES[missing]}={files[missing]}: No such file or directory. ")


def test_a_key_needs_a_certificate(ours):
    """It is never silently left out: the error names what is missing."""
    assert refusal("", "", ours.key) == f"{CLIENT_KEY}={ours.key} is a key without a certificate: set {CLIENT_CERTIFICATE} too"


def test_an_authority_is_a_file_of_certificates(ours):
    """A key is none."""
    assert refusal(ours.key, "", "").startswith(f"{CERTIFICATE}={ours.key} holds no certificates (no certificate or crl found)")


@pytest.mark.parametrize(("key", "why"), [("another's", "key values mismatch"), ("locked", "the key has a password")])
def test_a_pair_that_does_not_work_is_named(authority, ours, tmp_path, key, why):
    """Both files and the reason; nobody is asked for a password."""
    found = authority.sign("other").key
    if key == "locked":
        found = tmp_path / "locked.key"
        _openssl("pkey", "-in", ours.key, "-aes256", "-passout", "pass:x", "-out", found)
    assert refusal("", ours.certificate, found).startswith(
        f"{CLIENT_CERTIFICATE}={ours.certificate} with {CLIENT_KEY}={found} cannot be used ({why}). They are PEM files"
    )


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("said", "step"),
    [
        ("certificate verify failed: self-signed certificate in certificate chain", f"Set {CERTIFICATE} to"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch", "Set ROTA_ENDPOINT to a name"),
        ("certificate verify failed: certificate has expired", "It needs a new certificate"),
        ("certificate verify failed: CA cert does not include key usage extension", "It, or its authority, needs another"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)", "It speaks no TLS"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", f"If it asks for a client certificate, set {CLIENT_CERTIFICATE} and"),
        ("Remote end closed connection without response", f"If it asks for a client certificate, set {CLIENT_CERTIFICATE} and"),
        ("Connection refused", ""),
        ("no answer in time", ""),
    ],
)
def test_what_to_do_is_told_by_what_went_wrong(said, step):
    """One next step, that names the setting; none for what has nothing to do with TLS."""
    assert tls.next_step("https://c", said, "").startswith(step)
    assert bool(tls.next_step("https://c", said, "")) == bool(step)


def test_openssls_own_names_are_left_out():
    """People read words."""
    assert tls.words("[X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:3926)") == "key values mismatch"
    assert tls.words("Connection refused") == "Connection refused"


@pytest.mark.parametrize("version", EXTREMES)
def test_plain_http_makes_no_context(version):
    """It would read every certificate of the system, 30 ms, before each answer."""
    code = (
        "import ssl, sys; ssl.create_default_context = ssl._create_default_https_context = None;"
        "from rota.cli import main; sys.exit(main(['ls']))"
    )
    environment = {"ROTA_ENDPOINT": "http://127.0.0.1:1", "PYTHONPATH": str(SDK)}
    done = subprocess.run([PYTHONS[version], "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
