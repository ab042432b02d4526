"""What timers there are, and when they elapse: the output of ``systemctl show`` → schedules as rota has them. Pure."""

from __future__ import annotations

import os
import re
from typing import Dict, Optional, Sequence, Tuple

from rota.wire import names
from rota_integrations.systemd import shown

ARGUMENTS = [
    "show", "--all", "--property=Id,Unit,TimersCalendar,TimersMonotonic,RandomizedDelayUSec,AccuracyUSec", "*.timer",
]  # fmt: skip
_CALENDAR = re.compile(r"OnCalendar=(.*?) ;")
_ZONE = re.compile(r" ([A-Za-z_]+/[A-Za-z0-9_/+-]+|UTC)$")
_EVERY = re.compile(r"On(?:UnitActive|UnitInactive)USec=(.*?) ;")
_PART = re.compile(r"([0-9.]+)\s*(y|month|w|d|h|min|s|ms|us)")
_SECONDS = {"y": 31_557_600, "month": 2_629_800, "w": 604_800, "d": 86_400, "h": 3600, "min": 60, "s": 1, "ms": 1e-3, "us": 1e-6}


def declared(output: str, zone: str) -> Dict[str, Dict[str, str]]:
    """By the services that they start, what their timers say; nothing of one whose times rota cannot tell."""
    found = {}
    for pairs in shown.units(output):
        told = dict(pairs)
        if told.get("Unit"):
            found[told["Unit"]] = _declared(pairs, zone)
    return found


def zone() -> str:
    """The host's time zone, as systemd has it: what ``/etc/localtime`` links to, else UTC."""
    try:
        return os.readlink("/etc/localtime").partition("zoneinfo/")[2] or "UTC"
    except OSError:
        return "UTC"


def seconds(text: str) -> Optional[float]:
    """systemd's durations: ``1h 30min``; None for ``infinity``, and for what is none."""
    parts = _PART.findall(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) if parts else None


def _declared(pairs: Sequence[Tuple[str, str]], zone: str) -> Dict[str, str]:
    values = [value for name, value in pairs if name in ("TimersCalendar", "TimersMonotonic")]
    calendars = [found for value in values for found in _CALENDAR.findall(value)]
    every = [found for value in values for found in _EVERY.findall(value)]
    told = dict(pairs)
    delay = seconds(told.get("RandomizedDelayUSec", "")) or 0
    grace = {names.SCHEDULE_GRACE: "%ds" % (delay + (seconds(told.get("AccuracyUSec", "")) or 60))} if delay else {}
    if calendars and not every:
        zones = {found[1] if (found := _ZONE.search(each)) else zone for each in calendars}
        times = [_ZONE.sub("", each) for each in calendars]
        # Lines in several zones keep their own, which the collector reads as systemd does.
        spec, where = (times, zones.pop()) if len(zones) == 1 else (calendars, zone)
        return {names.SCHEDULE_SPEC: "; ".join(spec), names.SCHEDULE_TZ: where, **grace}
    if len(every) == 1 and not calendars and seconds(every[0]):
        return {names.SCHEDULE_SPEC: "every %ds" % (seconds(every[0]) or 0), **grace}
    return {}
