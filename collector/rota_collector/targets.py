"""Where telemetry is forwarded to: one address in ``ROTA_FORWARD``, or the path of a TOML file with several."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from rota_collector.errors import ConfigError

SIGNALS = ("traces", "logs", "metrics")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")  # it is a file's name, too
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEYS = ("endpoint", "headers", "signals", "begin", "timeout_seconds", "certificate", "client_certificate", "client_key")


class Target(NamedTuple):
    """One backend. ``begins_now``: what the journal holds when the target is new is not sent. Paths name PEM files."""

    name: str
    endpoint: str
    headers: Mapping[str, str] = {}
    signals: tuple[str, ...] = SIGNALS
    begins_now: bool = True
    timeout_seconds: float = 10.0
    certificate: str | None = None  # of the authority that the backend's is from
    client_certificate: str | None = None
    client_key: str | None = None


def read(forward: str, headers: str, environ: Mapping[str, str] = os.environ) -> tuple[Target, ...]:
    """The targets that the settings ``ROTA_FORWARD`` and ``ROTA_FORWARD_HEADERS`` name. Raises ConfigError."""
    if not forward:
        return ()
    if forward.startswith(("http://", "https://")):
        return (Target("default", _endpoint("ROTA_FORWARD", forward), _headers(headers)),)
    return _of_file(Path(forward), environ)


def _headers(text: str) -> dict[str, str]:
    """``key=value,key=value``, percent-encoded as in OTEL_EXPORTER_OTLP_HEADERS."""
    found = {}
    for pair in filter(str.strip, text.split(",")):
        key, is_there, value = pair.partition("=")
        if not is_there or not key.strip():
            raise ConfigError("ROTA_FORWARD_HEADERS is not KEY=VALUE,KEY=VALUE. Example: authorization=Bearer%20TOKEN")
        found[key.strip()] = _one_line("ROTA_FORWARD_HEADERS", unquote(value.strip()))
    return found


def _of_file(path: Path, environ: Mapping[str, str]) -> tuple[Target, ...]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"ROTA_FORWARD={str(path)!r} is neither an http(s) address nor a file that can be read: {error.strerror}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    return tuple(_target(f"{path}: [{name}]", name, table, environ) for name, table in tables.items())


def _target(where: str, name: str, table: Any, environ: Mapping[str, str]) -> Target:
    if not isinstance(table, dict) or not _NAME.fullmatch(name):
        raise ConfigError(f'{where} is no target. Write [NAME] (letters, digits, _ and -), and below it endpoint = "https://…"')
    for key in table:
        if key not in _KEYS:
            near = get_close_matches(key, _KEYS, 1)
            raise ConfigError(
                f"{where}: there is no {key!r}; {f'is {near[0]!r} meant?' if near else 'there are ' + ', '.join(_KEYS)}"
            )
    return Target(
        name=name,
        endpoint=_endpoint(where, _text(where, table, "endpoint") or ""),
        headers=_table_headers(where, table.get("headers", {}), environ),
        signals=_signals(where, table.get("signals", list(SIGNALS))),
        begins_now=_begins_now(where, table.get("begin", "now")),
        timeout_seconds=_seconds(where, table.get("timeout_seconds", 10.0)),
        **{key: _text(where, table, key) for key in ("certificate", "client_certificate", "client_key")},
    )


def _endpoint(where: str, url: str) -> str:
    """The base address, to which ``/v1/traces`` and the others are added."""
    try:
        is_address = url.startswith(("http://", "https://")) and bool(urlsplit(url).hostname) and url.isprintable()
    except ValueError:
        is_address = False
    if not is_address or " " in url or urlsplit(url).query or urlsplit(url).fragment:
        raise ConfigError(f"{where}: {url!r} is no base address of an OTLP/HTTP receiver. Example: https://otel.example.org:4318")
    return url.rstrip("/")


def _table_headers(where: str, headers: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """Header values, in which ``${NAME}`` stands for a variable of the environment: secrets need not be in the file."""

    def variable(found: re.Match[str]) -> str:
        if found[1] not in environ:
            raise ConfigError(f"{where}: headers name ${{{found[1]}}}, which is not in the environment")
        return environ[found[1]]

    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ConfigError(f'{where}: headers is no table of texts. Example: headers = {{authorization = "Bearer ${{TOKEN}}"}}')
    return {key: _one_line(where, _VARIABLE.sub(variable, value)) for key, value in headers.items()}


def _one_line(where: str, value: str) -> str:
    if not value.isprintable() or not value.isascii():
        raise ConfigError(f"{where}: a header's value holds characters that no header can")
    return value


def _signals(where: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or any(each not in SIGNALS for each in given):
        raise ConfigError(f"{where}: signals = {given!r} is not a list of {', '.join(SIGNALS)}")
    return tuple(given)


def _begins_now(where: str, given: Any) -> bool:
    if given not in ("now", "journal"):
        raise ConfigError(f'{where}: begin = {given!r} is neither "now" nor "journal" (everything that the journal still holds)')
    return bool(given == "now")


def _seconds(where: str, given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= 600:
        raise ConfigError(f"{where}: timeout_seconds = {given!r} is no number of seconds up to 600")
    return float(given)


def _text(where: str, table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"{where}: {key} = {value!r} is no text")
    return value
