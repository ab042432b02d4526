"""A policy document → what is expected and how people are told, in the numbers that decisions take. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from rota.rules.durations import seconds
from rota_collector.domain.expect import Expectation
from rota_collector.domain.incident import Alerting
from rota_collector.domain.schedule import Schedule, parse
from rota_collector.domain.slots import Limits


class Terms(NamedTuple):
    """A policy as decisions take it."""

    expectation: Expectation  # its limits name version 0; ``at_version`` names another
    alerting: Alerting
    upstream: tuple[str, ...]  # workflows that this one needs healthy
    after: str | None  # the workflow whose success makes a slot
    is_per_host: bool
    schedule: Schedule | None  # also one of the kind ``after``, for its words and zone

    def at_version(self, version: int) -> Expectation:
        """The expectation as a version of the policy states it."""
        return self.expectation._replace(limits=self.expectation.limits._replace(version=version))


@lru_cache(maxsize=1 << 17)
def of_text(document: str) -> Terms:
    """The terms of a document as JSON text. Remembered: many workflows say the same."""
    return terms(json.loads(document))


def terms(document: Mapping[str, Any]) -> Terms:
    """The terms of a valid policy document. Raises ValueError for one that is not."""
    when, expect = document.get("schedule") or {}, document.get("expect") or {}
    schedule = parse({key: value for key, value in when.items() if key not in ("grace", "early")}) if when else None
    after = schedule.after_workflow if schedule is not None else None
    grace_ns = schedule.within_ns if schedule is not None and after else _ns(when.get("grace"))
    failures = expect.get("failures", 1)
    return Terms(
        Expectation(
            None if after else schedule,
            Limits(grace_ns, _ns(when.get("early")), 0),
            _ns(expect.get("max_duration")),
            _ns(expect.get("min_duration")),
            _ns(expect.get("silence")),
            int(failures) if failures else None,
            int(expect.get("successes", 1)),
        ),
        _alerting(document.get("alert") or {}),
        tuple(dict.fromkeys([*expect.get("upstream", ()), *([after] if after else [])])),
        after,
        document.get("per") == "host",
        schedule,
    )  # fmt: skip


def _alerting(alert: Mapping[str, Any]) -> Alerting:
    channels = alert.get("channels")
    steps = tuple((_ns(step["after"]) or 0, str(step["to"])) for step in alert.get("escalate", ()))
    return Alerting(None if channels is None else tuple(channels), _ns(alert.get("remind")), tuple(sorted(steps)))


def _ns(given: str | float | None) -> int | None:
    return None if given is None else round(seconds(str(given)) * 1e9)
