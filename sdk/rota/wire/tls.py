"""TLS as a client of the collector: the files that the standard settings name, and what to do when a connection fails.

The same for agent, command line and dashboard. ``ssl`` is imported only by those who make a context.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Mapping

NAMES = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY")
_CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY = NAMES
# How it looks when a server hangs up on whom it does not want: some send an alert first, rota's collector does not.
_HUNG_UP = ("alert", "closed connection", "disconnected", "eof occurred", "connection reset", "broken pipe")
_FROM_STRANGERS = ("issuer", "self-signed", "self signed", "first certificate")


def files(environ: Mapping[str, str]) -> tuple[str, str, str]:
    """PEM files, empty where none is set: of the authority to trust instead of the system's, our certificate, and its key."""
    return environ.get(_CERTIFICATE, ""), environ.get(_CLIENT_CERTIFICATE, ""), environ.get(_CLIENT_KEY, "")


def context(certificate: str, client_certificate: str, client_key: str) -> ssl.SSLContext:
    """For connections to a collector, from these ``files``; an empty ``client_key`` is in the certificate's file.

    Raises:
        ValueError: one cannot be used. Its text names the setting, the file, and what to do.
    """
    import ssl

    if client_key and not client_certificate:
        raise ValueError("%s=%s is a key without a certificate: set %s too" % (_CLIENT_KEY, client_key, _CLIENT_CERTIFICATE))
    for name, path in zip(NAMES, (certificate, client_certificate, client_key)):
        _must_be_readable(name, path)
    try:
        made = ssl.create_default_context(cafile=certificate or None)
    except OSError as error:
        text = "%s=%s holds no certificates (%s). It is the PEM file of the authority that signed the collector's"
        raise ValueError(text % (_CERTIFICATE, certificate, reason(error))) from error
    if client_certificate:
        _show(made, client_certificate, client_key)
    return made


def _must_be_readable(name: str, path: str) -> None:
    """OpenSSL does not say which file it could not read."""
    try:
        if path:
            open(path, "rb").close()
    except OSError as error:
        raise ValueError("%s=%s: %s. Set it to a PEM file that this user may read" % (name, path, error.strerror)) from error


def _show(made: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        made.load_cert_chain(certificate, key or None, _no_password)
    except (OSError, ValueError) as error:
        given = "%s=%s" % (_CLIENT_CERTIFICATE, certificate) + (" with %s=%s" % (_CLIENT_KEY, key) if key else "")
        text = "%s cannot be used (%s). They are PEM files, the key without a password and belonging to the certificate"
        raise ValueError(text % (given, reason(error))) from error


def _no_password() -> str:
    raise ValueError("the key has a password")  # OpenSSL would ask for it at the terminal


def reason(error: BaseException) -> str:
    """Why a connection failed, in words."""
    below = getattr(error, "reason", None)  # urllib's own error stands around it
    cause = below if isinstance(below, BaseException) else error
    return words(str(getattr(cause, "strerror", None) or cause))


def words(said: str) -> str:
    """What an error says, without OpenSSL's names for it and its own line numbers."""
    return (said.partition("] ")[2] if said.startswith("[") else said).partition(" (_ssl.c")[0]


def next_step(url: str, said: str, client_certificate: str) -> str:
    """What to do about a connection to ``url`` that failed with these words; empty when it has nothing to do with TLS."""
    said = said.lower().replace("_", " ")
    if "certificate verify failed" in said:
        return _about_theirs(said)
    if "wrong version number" in said:
        return "It speaks no TLS: set ROTA_ENDPOINT to http://…"
    if not any(sign in said for sign in _HUNG_UP):
        return ""
    if not url.startswith("https:"):
        return "If it speaks TLS, set ROTA_ENDPOINT to https://…"
    if client_certificate:
        text = "If it asks for a client certificate, it does not take %s=%s: use one of an authority in its ROTA_TLS_CLIENT_CA"
        return text % (_CLIENT_CERTIFICATE, client_certificate)
    return "If it asks for a client certificate, set %s and %s" % (_CLIENT_CERTIFICATE, _CLIENT_KEY)


def _about_theirs(said: str) -> str:
    """The collector's own certificate was not believed."""
    if "mismatch" in said:
        return "Set ROTA_ENDPOINT to a name that its certificate is for"
    if "expired" in said or "not yet valid" in said:
        return "It needs a new certificate, or one of the two clocks is wrong"
    if any(sign in said for sign in _FROM_STRANGERS):
        return "Set %s to the PEM file of the authority that signed its certificate" % _CERTIFICATE
    return "It, or its authority, needs another certificate: from CPython 3.13 on they have to be as RFC 5280 says"
