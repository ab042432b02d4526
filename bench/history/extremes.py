"""Two runs that are there only when asked for: one of 50,000 spans, and one whose texts are attacks."""

from __future__ import annotations

import json

from bench.history.cast import Workflow
from bench.history.records import end_pairs, logs_line, script_records, state_record
from bench.history.run import MINUTE, MS, Line, Run, S, span_id
from bench.history.tasks import Part, attempts_of
from bench.history.telling import beginning, span_lines
from rota.wire import names

LARGE, HOSTILE = "etl.backfill", '<img src=x onerror=alert(1)> \u202egpj.exe\u202c "quoted" & co'
LARGE_SPANS = 50_000


def large_run(started_ns: int, seed: str) -> tuple[Run, list[Line]]:
    """A run of 50,000 spans and all that it says: 49 partitions, each with a thousand rows, of which a few failed."""
    run = Run(Workflow(LARGE, {}, ("etl-1",), ("team:data", "backfill")), "etl-1", started_ns, 25 * MINUTE, seed)
    row_count = LARGE_SPANS - 1 - 49
    tasks, length_ns = [], run.took_ns // 50
    for i in range(49):
        at = run.started_ns + i * length_ns + MS
        partition = Part("partition", span_id(run.chance), run.root, at, at + length_ns - MS, {"day": i}, depth=1)
        count = row_count // 49 + (i < row_count % 49)
        each_ns = (length_ns - 2 * MS) // count
        tasks += [
            Part("load_row", span_id(run.chance), partition.span_id, at + n * each_ns + 1, at + (n + 1) * each_ns, {"rows": 1},
                 "value" if run.chance.random() < 0.002 else "", depth=2)
            for n in range(count)
        ]  # fmt: skip
        tasks.append(partition)
    lines = [beginning(run)]
    for first in range(0, len(tasks), 2000):
        lines += span_lines(run, tasks[first : first + 2000], [])
    (attempt,) = attempts_of(run)
    lines += span_lines(run, [], [attempt])
    return run, [*lines, logs_line(run, [state_record(run, "succeeded", run.ended_ns, 1, run.root, end_pairs(run, attempt))])]


def hostile_run(started_ns: int, seed: str) -> tuple[Run, list[Line]]:
    """A run whose every text wants to be more than text, and all that it says: HTML, escapes, right-to-left, a megabyte."""
    script, escape = "<script>document.title='owned'</script>", "\x1b[31mred\x1b[0m \x1b]0;owned\x07"
    workflow = Workflow(HOSTILE, {}, ("<b>host</b>",), (script, "=cmd|' /C calc'!A0", "\u202egat"))
    messages = (script, escape, "\u202e:txet", "$$\\frac{1}{0}$$")
    run = Run(workflow, "<b>host</b>", started_ns, MINUTE, seed, state="failed", messages=messages)
    parts = []
    for i, name in enumerate((f"{script} **bold** [link](javascript:alert(1))", f"load \u202e{escape}")):
        at = started_ns + i * 20 * S
        parts.append(Part(name, span_id(run.chance), run.root, at, at + 20 * S, {script: escape}, depth=1))
    pairs = {names.RUN_STARTED: started_ns, names.REASON: script, names.ERROR_TYPE: f"Evil{script}"}
    end = json.loads(state_record(run, "failed", run.ended_ns, 1, run.root, pairs))
    message = f"{script} {escape} " + "A" * (1 << 20)  # the SDK would cut it; not everybody is our SDK
    end["attributes"].append({"key": names.EXCEPTION_MESSAGE, "value": {"stringValue": message}})
    records = [*script_records(run, parts), json.dumps(end)]
    lines = [beginning(run), *span_lines(run, parts, list(attempts_of(run))), logs_line(run, records)]
    return run, lines
