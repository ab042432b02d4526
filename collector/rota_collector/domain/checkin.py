"""Sentry envelopes and the check-ins in them, as any Sentry SDK sends them. Pure.

An envelope is a line of JSON, then items: a line of JSON that says the type, then the payload, of ``length`` bytes or one line.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

import msgspec

from rota.rules.declared import Declared
from rota_collector.errors import Malformed

CHECK_IN = "check_in"
_STATES = {"in_progress": "running", "ok": "succeeded", "error": "failed"}
_DAYS = {"day": 1, "week": 7, "month": 31, "year": 366}  # no month is longer: a run of each month is never late
_UNITS = {"second": "s", "minute": "m", "hour": "h"}
_DEFAULT_ENVIRONMENT = "production"
_LONGEST_WORD = 500


class Item(NamedTuple):
    """One item of an envelope."""

    type: str
    payload: bytes


class CheckIn(NamedTuple):
    """What a run says of itself. ``check_in_id`` is None where Sentry would take the last one that is open."""

    monitor: str
    status: str
    check_in_id: uuid.UUID | None
    duration_seconds: float | None
    environment: str
    release: str | None
    trace_id: str | None
    declared: Declared

    @property
    def state(self) -> str:
        """How the run is."""
        return _STATES[self.status]

    @property
    def workflow(self) -> str:
        """The monitor; in another environment than production it is another workflow, as it is another monitor to Sentry."""
        return self.monitor if self.environment == _DEFAULT_ENVIRONMENT else f"{self.monitor}@{self.environment}"


def items(envelope: bytes) -> Iterator[Item]:
    """The items of an envelope. Raises Malformed."""
    head, _, rest = envelope.partition(b"\n")
    _object(head, "the envelope's first line")
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        if not line.strip():
            continue
        about = _object(line, "an item's header")
        length = about.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        elif isinstance(length, int) and 0 <= length <= len(rest):
            payload, rest = rest[:length], rest[length:].removeprefix(b"\n")
        else:
            raise Malformed(f"cannot read the envelope: an item of {length!r} bytes, and {len(rest)} are there", "length")
        yield Item(str(about.get("type")), payload)


def public_key_in(envelope: bytes) -> str:
    """The key in the ``dsn`` of an envelope's first line; empty: there is none."""
    dsn = _object(envelope.partition(b"\n")[0], "the envelope's first line").get("dsn")
    return dsn.partition("://")[2].partition("@")[0].partition(":")[0] if isinstance(dsn, str) and "@" in dsn else ""


def check_in(payload: bytes) -> CheckIn:
    """What the payload of a check-in says. Raises Malformed."""
    said = _object(payload, "a check-in")
    monitor, status, told_id = said.get("monitor_slug"), said.get("status"), said.get("check_in_id")
    if not isinstance(monitor, str) or not 0 < len(monitor) <= _LONGEST_WORD:
        raise Malformed(f"a check-in names no monitor: monitor_slug is {monitor!r}", "monitor_slug")
    if status not in _STATES:
        raise Malformed(f"a check-in's status is {status!r}, and not one of {', '.join(_STATES)}", "status")
    duration = said.get("duration")
    return CheckIn(
        monitor=monitor,
        status=status,
        check_in_id=_id(told_id),
        duration_seconds=float(duration) if _is_number(duration) and 0 <= duration < 1e9 else None,
        environment=_word(said.get("environment")) or _DEFAULT_ENVIRONMENT,
        release=_word(said.get("release")),
        trace_id=_trace_id(said),
        declared=_declared(said.get("monitor_config")),
    )


def _declared(config: Any) -> Declared:
    """A monitor's settings as a schedule; what is left out there is not declared here either."""
    if not isinstance(config, Mapping) or not isinstance(config.get("schedule"), Mapping):
        return Declared()
    spec = _spec(config["schedule"])
    if spec is None:
        return Declared()
    return Declared(
        spec, _word(config.get("timezone")), _minutes(config.get("checkin_margin")), _minutes(config.get("max_runtime")), "given"
    )  # fmt: skip


def _spec(schedule: Mapping[str, Any]) -> str | None:
    value, unit = schedule.get("value"), schedule.get("unit")
    if schedule.get("type") == "crontab":
        return _word(value)
    if schedule.get("type") != "interval" or not _is_number(value) or not 0 < value < 1e6:
        return None
    if unit in _DAYS:
        return f"every {int(value) * _DAYS[unit]}d"
    return f"every {int(value)}{_UNITS[unit]}" if unit in _UNITS else None


def _minutes(value: Any) -> str | None:
    return f"{int(value)}m" if _is_number(value) and 0 < value < 1e6 else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _word(value: Any) -> str | None:
    return value[:_LONGEST_WORD] if isinstance(value, str) and value else None


def _id(value: Any) -> uuid.UUID | None:
    """Raises Malformed."""
    try:
        found = uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        raise Malformed(f"a check-in's check_in_id is no UUID: {value!r}", "check_in_id") from None
    return found if found is not None and found.int else None


def _trace_id(said: Mapping[str, Any]) -> str | None:
    contexts = said.get("contexts")
    trace = contexts.get("trace") if isinstance(contexts, Mapping) else None
    found = trace.get("trace_id") if isinstance(trace, Mapping) else None
    try:
        return uuid.UUID(found).hex if isinstance(found, str) else None
    except ValueError:
        return None


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Malformed(f"{what} is no JSON object: {text[:80]!r}")
    return found
