"""Ours beside the real instrumentations of opentelemetry."""

from __future__ import annotations

from pathlib import Path

import pytest
import s3_store
from http_answers import listening
from library_calls import calls, run
from s3_store import client
from scripts import Outcome


@pytest.fixture(scope="module")
def store():
    """Where something listens that answers as S3 does."""
    with s3_store.running() as address:
        yield address


@pytest.fixture(scope="module")
def server():
    """Where an HTTP server listens: ``127.0.0.1:port``."""
    with listening() as address:
        yield address


def beside_opentelemetry(home: Path, library: str, instrumentor: str, call: str, theirs_first: bool) -> Outcome:
    """Run ``call(name)`` with opentelemetry's instrumentation active, then without it."""
    theirs = f"from opentelemetry.instrumentation.{library} import {instrumentor} as Theirs; Theirs().instrument()"
    return run(
        f"""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    {theirs if theirs_first else "pass"}
    {call}
    {"pass" if theirs_first else theirs}
    call("first")
    assert len(kept.get_finished_spans()) == 1 and trace.get_tracer_provider() is provider
    Theirs().uninstrument()
    call("second")
    assert len(kept.get_finished_spans()) == 1
        """,
        home,
    )


@pytest.mark.parametrize("theirs_first", [True, False])
def test_requests_beside_opentelemetry(home, server, theirs_first: bool) -> None:
    """With opentelemetry's instrumentation active there is one span a call, theirs; once it is off, one of ours."""
    call = f'import requests; call = lambda name: requests.get("http://{server}/" + name)'
    outcome = beside_opentelemetry(home, "requests", "RequestsInstrumentor", call, theirs_first)
    assert [a["url.full"].rpartition("/")[2] for a in calls(outcome)] == ["second"]


@pytest.mark.parametrize("theirs_first", [True, False])
def test_boto3_beside_opentelemetry(home, store, theirs_first: bool) -> None:
    """As requests."""
    call = f"import boto3; {client(store)}; call = lambda name: s3.create_bucket(Bucket=name)"
    outcome = beside_opentelemetry(home, "botocore", "BotocoreInstrumentor", call, theirs_first)
    assert [a["aws.s3.bucket"] for a in calls(outcome)] == ["second"]
