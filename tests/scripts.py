"""Runs small scripts under every CPython found here and reads back what their spool says."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

SDK = Path(__file__).parents[1] / "sdk"
WITHOUT = Path(__file__).parent / "chaos/without"  # an empty module in the place of rota
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def interpreters() -> dict[str, str]:
    """Version -> path, for every supported CPython on PATH or under ~/.pyenv; the running one is always among them."""
    found = {"%d.%d" % sys.version_info[:2]: sys.executable}
    for version in VERSIONS:
        on_path = shutil.which("python" + version)
        candidates = sorted((Path.home() / ".pyenv/versions").glob(version + ".*/bin/python"))
        path = str(candidates[-1]) if candidates else on_path
        if path and version not in found and _runs(path, version):
            found[version] = path
    return dict(sorted(found.items(), key=lambda pair: int(pair[0].split(".")[1])))


def version_of(python: str) -> tuple[int, int]:
    """(3, 12) for the path of a CPython 3.12 among ``PYTHONS``."""
    (found,) = [version for version, path in PYTHONS.items() if path == python]
    major, minor = found.split(".")
    return int(major), int(minor)


def _runs(path: str, version: str) -> bool:
    """A pyenv shim answers for versions that are not there."""
    asked = subprocess.run(
        [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() == version


PYTHONS = interpreters()
EXTREMES = list(dict.fromkeys([next(iter(PYTHONS)), [*PYTHONS][-1]]))  # the oldest and the newest of them, which may be one


@dataclass
class Outcome:
    """What a script did, and what rota kept of it."""

    code: int
    stdout: bytes
    stderr: bytes
    home: Path
    events: list[dict[str, Any]] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)
    errors: str = ""

    def states(self) -> list[str]:
        """The run's states in the order written."""
        return [e["rota.run.state"] for e in self.events if e["event"] == "rota.run.state"]

    @property
    def last(self) -> dict[str, Any]:
        """The attributes of the last run state."""
        return [e for e in self.events if e["event"] == "rota.run.state"][-1]


def run_script(
    source: str, home: Path, python: str = sys.executable, *, args: tuple[str, ...] = (), flags: tuple[str, ...] = (),
    environment: dict[str, str] | None = None, name: str = "job.py", path: Path | None = None, timeout: float = 60,
) -> Outcome:  # fmt: skip
    """Run ``source`` as a script file, with rota importable and nobody to deliver to."""
    script = path or home.parent / name
    if path is None:
        script.write_text(textwrap.dedent(source), encoding="utf-8")
    env = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("ROTA_", "OTEL_", "PYTHON", "TRACEPARENT", "BAGGAGE", "COVERAGE"))
    }
    env.update(ROTA_HOME=str(home), ROTA_AGENT="off", ROTA_DETACH="off", ROTA_ENDPOINT="http://127.0.0.1:1", PYTHONPATH=str(SDK))
    env.update(environment or {})
    done = subprocess.run([python, *flags, str(script), *args], capture_output=True, env=env, timeout=timeout, check=False)
    return read_back(Outcome(done.returncode, done.stdout, done.stderr, home))


def read_back(outcome: Outcome) -> Outcome:
    """Fill in events, spans and swallowed errors from the home."""
    outcome.events, outcome.spans = [], []
    for line in spool_lines(outcome.home):
        for logs in line.get("resourceLogs", []):
            outcome.events += [e for s in logs["scopeLogs"] for e in map(_flat_event, s["logRecords"])]
        for traces in line.get("resourceSpans", []):
            outcome.spans += [_flat_span(span) for s in traces["scopeSpans"] for span in s["spans"]]
    outcome.events.sort(key=lambda e: int(e["timeUnixNano"]))
    swallowed = outcome.home / "errors.jsonl"
    outcome.errors = swallowed.read_text() if os.path.exists(swallowed) else ""
    return outcome


def spool_lines(home: Path) -> Iterator[dict[str, Any]]:
    """Every line of every spool file of a home, parsed. A file that an agent ships and removes meanwhile has none."""
    for file in sorted((home / "spool").rglob("*.jsonl")):
        with contextlib.suppress(FileNotFoundError):
            yield from map(json.loads, file.read_text(encoding="ascii").splitlines())


def _flat_event(record: dict[str, Any]) -> dict[str, Any]:
    return {
        **_attributes(record["attributes"]),
        "event": record.get("eventName", ""),
        **{k: record[k] for k in ("severityNumber", "severityText") if k in record},
        **({"body": plain(record["body"])} if "body" in record else {}),
        **{k: record[k] for k in ("timeUnixNano", "traceId", "spanId")},
    }


def _flat_span(span: dict[str, Any]) -> dict[str, Any]:
    return {**span, "attributes": _attributes(span["attributes"])}


def _attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: plain(pair["value"]) for pair in pairs}


def plain(value: dict[str, Any]) -> Any:
    """An OTLP AnyValue as the Python value it stands for."""
    if not value:
        return None
    ((kind, inner),) = value.items()
    if kind == "intValue":
        return int(inner)
    if kind == "arrayValue":
        return [plain(item) for item in inner["values"]]
    if kind == "kvlistValue":
        return _attributes(inner["values"])
    return inner
