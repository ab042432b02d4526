"""What differs between a run and the last good one before it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rota_dashboard.shape import words
from rota_dashboard.shape.run import Known, facts, recorded
from rota_dashboard.shape.told import value_text
from rota_dashboard.shape.words import Item

_CONTEXT = {
    "host.name": "host", "service.version": "version", "vcs.ref.head.revision": "revision", "code.file.path": "script",
    "process.runtime.version": "runtime", "telemetry.sdk.version": "rota", "process.command": "command",
}  # fmt: skip
_SLOWER, _SECONDS = 1.5, 1.0  # a task's time is mentioned when it changed by this factor and by so much
_CHANGED = 0.1  # a number, when it changed by this share
MOST = 12


def differences(known: Known) -> list[Item]:
    """[what, then, now], the ones that say most first; nothing without a good run to compare with."""
    if known.good is None:
        return []
    found = [*_context(known), *_numbers(known), *_work(known)]
    return [{"what": what, "then": then, "now": now} for what, then, now in found[:MOST]]


def _context(known: Known) -> Iterator[tuple[str, str, str]]:
    """Where and what ran."""
    then, now = known.good["attributes"] if known.good else {}, known.attributes
    for name, word in _CONTEXT.items():
        if name in then and name in now and then[name] != now[name]:
            yield word, value_text(then[name]), value_text(now[name])
    good = known.good["run"] if known.good else {}
    if good.get("attempt") != known.run["attempt"]:
        yield "attempts", str(good.get("attempt")), str(known.run["attempt"])


def _numbers(known: Known) -> Iterator[tuple[str, str, str]]:
    """What it recorded."""
    good = known.good or {}
    then, now = recorded(good["attributes"], good["work"]), facts(known)
    for name in sorted({*then, *now}):
        a, b = then.get(name), now.get(name)
        if a is None or b is None:
            yield words.plain(name), "–" if a is None else words.count(a), "–" if b is None else words.count(b)
        elif abs(b - a) > _CHANGED * max(abs(a), abs(b)):
            yield words.plain(name), words.count(a), words.count(b) + _change(a, b)


def _change(then: float, now: float) -> str:
    return f" ({100 * (now - then) / abs(then):+.0f} %)" if then else ""


def _work(known: Known) -> Iterator[tuple[str, str, str]]:
    """Its tasks: those that failed, that are new, that are missing, that took much longer or shorter."""
    then = {task["name"]: task for task in (known.good or {})["work"]}
    now = {task["name"]: task for task in known.work}
    for name, task in now.items():
        if task["failed"] and not then.get(name, {}).get("failed"):
            yield (
                name,
                "none failed" if name in then else "not there",
                f"{words.count(task['failed'])} of {words.count(task['count'])} failed",
            )
    for name, task in now.items():
        if name not in then and not task["failed"]:
            yield name, "not there", _done(task)
    for name in sorted(then.keys() - now.keys()):
        yield name, _done(then[name]), "did not run"
    yield from _times(then, now)


def _times(then: Mapping[str, Item], now: Mapping[str, Item]) -> Iterator[tuple[str, str, str]]:
    for name in (each for each in now if each in then):
        a, b = then[name]["duration_seconds"], now[name]["duration_seconds"]
        if None not in (a, b) and abs(b - a) >= _SECONDS and max(a, b) > _SLOWER * max(min(a, b), 0.001):
            yield f"{name}, time", words.length(a), words.length(b)
        elif then[name]["count"] != now[name]["count"] and max(then[name]["count"], now[name]["count"]) > 1:
            yield f"{name}, times", words.count(then[name]["count"]), words.count(now[name]["count"])


def _done(task: Item) -> str:
    return f"{words.count(task['count'])} × in {words.length(task['duration_seconds'])}"
