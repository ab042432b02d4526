"""W3C trace context in the environment: how a run finds its parent, and how children find the run."""

from __future__ import annotations

import os

from rota._config import parse_pairs

RUN_ID_KEY, WORKFLOW_KEY, EXEC_KEY = "rota.run.id", "rota.workflow", "rota.exec"


def inherited() -> tuple[str, str]:
    """(trace id, parent span id) from ``TRACEPARENT``; empty strings when it is absent or malformed."""
    parts = os.environ.get("TRACEPARENT", "").strip().lower().split("-")
    if len(parts) < 4 or len(parts[1]) != 32 or len(parts[2]) != 16 or parts[0] == "ff":
        return "", ""
    if not _is_hex(parts[1]) or not _is_hex(parts[2]) or not parts[1].strip("0") or not parts[2].strip("0"):
        return "", ""
    return parts[1], parts[2]


def inherited_run() -> tuple[str, str]:
    """(run id, workflow) of the run that started this process, from ``BAGGAGE``; empty strings without one."""
    baggage = parse_pairs(os.environ.get("BAGGAGE", ""))
    return baggage.get(RUN_ID_KEY, ""), baggage.get(WORKFLOW_KEY, "")


def traceparent(trace_id: str, span_id: str) -> str:
    """The header value; always sampled: rota keeps every run."""
    return "00-%s-%s-01" % (trace_id, span_id)


def inherited_exec() -> str:
    """The marker of the ``rota exec`` whose command this process may be (see ``rota.exec.part``); empty without one."""
    return parse_pairs(os.environ.get("BAGGAGE", "")).get(EXEC_KEY, "")


def announce(trace_id: str, span_id: str, run_id: str, workflow: str) -> None:
    """Put this process's run into the environment, so that every child is linked to it."""
    os.environ.update(context(trace_id, span_id, run_id, workflow))


def put_back(environment: dict[str, str | None]) -> None:
    """Give these variables the values that they had; None: they had none. For tests."""
    for name, before in environment.items():
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def context(trace_id: str, span_id: str, run_id: str, workflow: str, exec_marker: str = "") -> dict[str, str]:
    """``TRACEPARENT`` and ``BAGGAGE`` for children of a run. Other baggage is kept; ``exec_marker`` is for a command's own."""
    ours = {RUN_ID_KEY: run_id, WORKFLOW_KEY: quoted(workflow), EXEC_KEY: exec_marker}
    pairs = [pair for pair in os.environ.get("BAGGAGE", "").split(",") if pair and pair.partition("=")[0].strip() not in ours]
    pairs += ["%s=%s" % (key, value) for key, value in ours.items() if value]
    return {"TRACEPARENT": traceparent(trace_id, span_id), "BAGGAGE": ",".join(pairs)}


def quoted(name: str) -> str:
    """Percent-encoded, with nothing safe but letters, digits and ``.-_~``."""
    if name.isascii() and name.replace(".", "").replace("-", "").replace("_", "").isalnum():
        return name
    from urllib.parse import quote

    return quote(name, safe="", errors="replace")


def _is_hex(text: str) -> bool:
    return all(c in "0123456789abcdef" for c in text)
