"""A program with its own opentelemetry-sdk: its spans reach rota under its run, and nothing of its own changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scripts import Outcome, plain, run_script, spool_lines

OWN = """
import json, os, sys
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, ConsoleSpanExporter
provider = TracerProvider(resource=Resource({"service.name": "shop", "k": 1}), sampler=sampling.DEFAULT_ON)
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: span.to_json(None) + "\\n")))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop.lib", "2.1", attributes={"team": "a"})
import rota, rota.otel
"""


@pytest.fixture
def home(tmp_path) -> Path:
    """A rota home that does not exist yet."""
    return tmp_path / "home"


def run(body: str, home: Path, **options: Any) -> Outcome:
    """Run a program that has opentelemetry of its own; no error of ours may be swallowed in it."""
    outcome = run_script(OWN + body, home, **options)
    assert outcome.errors == ""
    return outcome


def named(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The spans in the spool by name."""
    found = {span["name"]: span for span in outcome.spans}
    assert len(found) == len(outcome.spans), "a span was written twice"
    return found


def exported(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """What the program's own exporter printed, by name."""
    return {span["name"]: span for span in map(json.loads, outcome.stdout.splitlines())}


WATCHED = """
rota.watch("etl")
assert rota.otel.install() is True
"""


def test_its_spans_come_under_our_run(home):
    """A root span becomes a child of the run, in the run's trace, and says which run; its children keep their parent."""
    outcome = run(
        WATCHED
        + """
with tracer.start_as_current_span("outer"):
    with tracer.start_as_current_span("inner"): pass
""",
        home,
    )
    spans = named(outcome)
    own = spans["etl"]
    assert spans["outer"]["parentSpanId"] == own["spanId"]
    assert spans["inner"]["parentSpanId"] == spans["outer"]["spanId"]
    assert {span["traceId"] for span in outcome.spans} == {own["traceId"]}
    for name in ("outer", "inner"):
        attributes = spans[name]["attributes"]
        assert attributes["cicd.pipeline.run.id"] == outcome.last["cicd.pipeline.run.id"]
        assert attributes["cicd.pipeline.name"] == "etl"


def test_its_own_exporter_sees_what_it_saw_before(home):
    """The program's exporter gets each span once, without an attribute of ours, in the same trace as we write it."""
    outcome = run(WATCHED + "with tracer.start_as_current_span('a', attributes={'x': 1}): pass", home)
    (span,) = exported(outcome).values()
    assert span["attributes"] == {"x": 1}
    assert span["resource"]["attributes"] == {"service.name": "shop", "k": 1}
    assert span["context"]["span_id"] == "0x" + named(outcome)["a"]["spanId"]


def test_a_span_keeps_all_it_has(home):
    """Kind, attributes of every kind, events, links, status, trace state, times."""
    outcome = run(
        WATCHED
        + r"""
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
other = SpanContext(1, 2, True, TraceFlags(1), TraceState([("v", "1")]))
attributes = {"text": "zażółć \ud800 🦀", "no": False, "whole": -(2**63), "half": 0.5, "nan": float("nan"), "list": [1, 2],
              "bytes": b"\0\xff", "map": {"deep": [b"x", None]}, "nothing": None, "empty": ""}
span = tracer.start_span("a", kind=SpanKind.CLIENT, attributes=attributes, links=[Link(other, {"why": "x"})], start_time=5)
span.add_event("e", {"n": 1}, timestamp=6)
span.set_status(Status(StatusCode.ERROR, "źle"))
span.end(end_time=7)
""",
        home,
    )
    span = named(outcome)["a"]
    assert (span["kind"], span["startTimeUnixNano"], span["endTimeUnixNano"]) == (3, "5", "7")
    attributes = span["attributes"]
    assert {k: v for k, v in attributes.items() if not k.startswith("cicd.")} == {
        "text": "zażółć � 🦀", "no": False, "whole": -(2**63), "half": 0.5, "nan": "NaN", "list": [1, 2],
        "bytes": "AP8=", "map": {"deep": ["eA==", None]}, "nothing": None, "empty": "",
    }  # fmt: skip
    (event,), (link,) = span["events"], span["links"]
    assert (event["name"], event["timeUnixNano"], plain(event["attributes"][0]["value"])) == ("e", "6", 1)
    assert (int(link["traceId"], 16), int(link["spanId"], 16), link["traceState"]) == (1, 2, "v=1")
    assert link["flags"] == 0x300
    assert span["status"] == {"code": 2, "message": "źle"}


def test_resource_and_scope_stay_its_own(home):
    """The written spans have the program's resource and instrumentation scope, not ours."""
    run(WATCHED + "tracer.start_span('a').end()\ntrace.get_tracer('other').start_span('b').end()", home)
    (group,) = [g for line in spool_lines(home) for g in line.get("resourceSpans", []) if len(g["scopeSpans"]) == 2]
    pairs = {pair["key"]: plain(pair["value"]) for pair in group["resource"]["attributes"]}
    assert pairs == {"service.name": "shop", "k": 1}
    first, second = group["scopeSpans"]
    assert (first["scope"]["name"], first["scope"]["version"]) == ("shop.lib", "2.1")
    assert [(p["key"], plain(p["value"])) for p in first["scope"]["attributes"]] == [("team", "a")]
    assert second["scope"]["name"] == "other"


def test_a_span_inside_our_task_is_the_tasks_child(home):
    """opentelemetry knows nothing of our tasks; what is written does."""
    outcome = run(WATCHED + "with rota.task('load'):\n    with tracer.start_as_current_span('query'): pass", home)
    spans = named(outcome)
    assert spans["query"]["parentSpanId"] == spans["load"]["spanId"]


def test_a_span_of_another_trace_says_which_run(home):
    """Started with a parent from elsewhere, or in a thread, it keeps its trace and gets the run's id."""
    outcome = run(
        WATCHED
        + """
import threading
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
remote = trace.set_span_in_context(NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(1))))
tracer.start_span("remote", context=remote).end()
thread = threading.Thread(target=lambda: tracer.start_span("thread").end()); thread.start(); thread.join()
""",
        home,
    )
    spans = named(outcome)
    assert int(spans["remote"]["traceId"], 16) == 7
    assert spans["remote"]["flags"] == 0x300
    assert {spans[name]["attributes"]["cicd.pipeline.run.id"] for name in ("remote", "thread")} == {
        outcome.last["cicd.pipeline.run.id"]
    }


def test_a_run_inside_the_process_gets_its_spans(home):
    """Between `with rota.run(…)`, spans belong to that run."""
    outcome = run("assert rota.otel.install()\nwith rota.run('job'):\n    tracer.start_span('a').end()", home)
    assert named(outcome)["a"]["attributes"]["cicd.pipeline.name"] == "job"


def test_without_a_run_nothing_is_written(home):
    """A span outside of any run is none of ours."""
    outcome = run("assert rota.otel.install()\ntracer.start_span('a').end()", home)
    assert outcome.spans == []
    assert not home.exists()
    assert list(exported(outcome)) == ["a"]


def test_a_sampled_out_span_is_not_written(home):
    """Neither dropped nor merely recorded spans."""
    outcome = run(
        """
class RecordOnly(sampling.Sampler):
    def should_sample(self, *args, **kwargs): return sampling.SamplingResult(sampling.Decision.RECORD_ONLY)
    def get_description(self): return "RecordOnly"
rota.watch("etl")
for sampler in (sampling.ALWAYS_OFF, RecordOnly()):
    provider = TracerProvider(sampler=sampler)
    assert rota.otel.install(provider)
    provider.get_tracer("x").start_span("a").end()
""",
        home,
    )
    assert list(named(outcome)) == ["etl"]


@pytest.mark.parametrize(
    "sampler", ["sampling.DEFAULT_OFF", "sampling.ParentBased(sampling.TraceIdRatioBased(0))", "sampling.TraceIdRatioBased(1)"]
)
def test_a_sampler_that_decides_at_the_root_keeps_deciding(home, sampler):
    """Our run, being sampled, would make its decision for it: such a provider's spans get no parent from us."""
    outcome = run(
        f"""
rota.watch("etl")
provider = TracerProvider(sampler={sampler})
assert rota.otel.install(provider)
span = provider.get_tracer("x").start_span("a"); span.end()
print(span.get_span_context().trace_flags.sampled, getattr(span, "parent", None))
""",
        home,
    )
    assert outcome.stdout.split() == [str("Based(1)" in sampler).encode(), b"None"]


def test_it_is_installed_once(home):
    """Installing again, by either name of the provider, writes no span twice."""
    outcome = run(WATCHED + "assert rota.otel.install(provider)\ntracer.start_span('a').end()", home)
    assert set(named(outcome)) == {"a", "etl"}


@pytest.mark.parametrize("provider", ["", "object()", "trace.NoOpTracerProvider()"])
def test_no_provider_is_ever_made(home, provider):
    """Without an SDK provider there is nothing to add to: False, and opentelemetry stays as it was."""
    body = f"""
from opentelemetry import trace
import rota, rota.otel
rota.watch("etl")
assert rota.otel.install({provider}) is False
print(type(trace.get_tracer_provider()).__name__)
"""
    assert run_script(body, home).stdout == b"ProxyTracerProvider\n"


def test_every_span_is_written_however_many(home):
    """More than fit in memory at once, from several threads, none lost, none twice."""
    outcome = run(
        WATCHED
        + """
import threading
def work(n):
    for i in range(200): tracer.start_span(f"{n}-{i}").end()
threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
for t in threads: t.start()
for t in threads: t.join()
""",
        home,
    )
    assert len(named(outcome)) == 1001


def test_it_works_after_a_fork(home):
    """A child's spans are written by the child, into its own file, whatever way it ends; the parent's are not repeated."""
    outcome = run(
        WATCHED
        + """
tracer.start_span("before").end()
for number in range(2):
    pid = os.fork()
    if pid == 0:
        tracer.start_span(f"child {number}").end()
        os._exit(0)
    os.waitpid(pid, 0)
tracer.start_span("after").end()
""",
        home,
    )
    assert set(named(outcome)) == {"before", "child 0", "child 1", "after", "etl"}


def test_an_error_of_ours_is_not_the_programs(home):
    """What goes wrong in the bridge is noted for `rota doctor`; the program and its exporter do not notice."""
    outcome = run_script(
        OWN + WATCHED + "rota.otel._text = None\ntracer.start_span('a').end()\nprint('{\"name\": \"end\"}')", home
    )
    assert outcome.code == 0
    assert outcome.stderr == b""
    assert list(exported(outcome)) == ["a", "end"]
    assert "on_end" in outcome.errors


def test_a_disabled_rota_does_nothing(home):
    """ROTA_DISABLED: no spool, no parent, no difference."""
    outcome = run(
        "rota.watch('etl')\nrota.otel.install()\ntracer.start_span('a').end()", home, environment={"ROTA_DISABLED": "1"}
    )
    assert exported(outcome)["a"]["parent_id"] is None
    assert not home.exists()
