"""Log records of a run: the first thousand are kept, the rest is counted."""

from __future__ import annotations

from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._run import Run
    from rota._task import Task

MOST_RECORDS = 1000  # of one run
MOST_BYTES = 8192  # of one text


def keep(place: Run | Task, severity: int, word: str, text: str, at_ns: int, facts: dict[str, object]) -> None:
    """Append one record under a task or a run. ``at_ns`` is Unix time."""
    run = place.run
    run.logs += 1
    if run.logs > MOST_RECORDS:
        run.facts[names.LOGS_LEFT_OUT] = run.logs - MOST_RECORDS
        return
    pairs = {names.RUN_ID: run.run_id, names.WORKFLOW: run.workflow, **facts}
    record = events.log_message(at_ns, severity, word, shortened(text), run.trace_id, place.span_id, pairs)
    run.owner.write_event(run.scope, record)


def shortened(text: str) -> str:
    """At most ``MOST_BYTES`` of UTF-8, which never ends in half a character."""
    if len(text) * 4 <= MOST_BYTES:
        return text
    return text[:MOST_BYTES].encode("utf-8", "surrogatepass")[:MOST_BYTES].decode("utf-8", "ignore")
