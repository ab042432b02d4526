"""Who may send telemetry, over HTTP and over gRPC, and what becomes of rows that are not theirs to send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from otlp_messages import attributes, log, logs, span, to_json, traces

from rota.wire import names
from rota_collector.clock import ManualClock
from rota_collector.decode import to_rows
from rota_collector.decode.beyond import narrowed
from rota_collector.domain.rate import Rates
from rota_collector.domain.reach import Reach
from rota_collector.journal import Journal, Record, Signal
from rota_collector.receive import grpc as over_grpc
from rota_collector.receive import otlp
from rota_collector.receive.access import Gate, Nearby
from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import SCOPES, Keys

OF_A = Reach(("a.*",))


class World(NamedTuple):
    """A journal, and who may write into it."""

    journal: Journal
    changes: KeyChanges
    keys: Keys
    gate: Gate
    clock: ManualClock

    def key(self, scope: str, **asked: Any) -> str:
        made = self.changes.create(scope, now_ns=self.clock.now_ns(), **asked)
        assert made is not None
        return made[1]

    def post(
        self, path: str, content: bytes, key: str | None = None, peer: str = "127.0.0.1", json: bool = False
    ) -> httpx.Response:
        """One request over HTTP from ``peer``."""
        receiver = otlp.Receiver(self.journal, gate=self.gate)
        headers = {"Content-Type": f"application/{'json' if json else 'x-protobuf'}"}
        headers |= {} if key is None else {"Authorization": f"Bearer {key}"}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(receiver, client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://rota") as client:
                return await client.post(path, content=content, headers=headers)

        answer = asyncio.run(send())
        receiver.close()
        return answer

    def kept(self) -> list[Record]:
        return list(self.journal.read(0, 1 << 30))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = ManualClock()
    control, journal = Control(tmp_path / "control.sqlite"), Journal(tmp_path / "journal", clock=clock)
    keys = Keys(control.path, clock)
    yield World(journal, KeyChanges(control.engine), keys, Gate(keys, Rates(0.1, clock.monotonic)), clock)
    keys.close()
    journal.close()
    control.close()


def about(workflow: str | None, **more: Any) -> list[tuple[str, Any]]:
    return [*([(names.WORKFLOW, workflow)] if workflow is not None else []), *more.items()]


SPANS = traces(span(1, about("a.one")), span(2, about("b.one")), span(3, about("a.two"))).SerializeToString()


def test_without_a_key_made_this_machine_sends_and_no_other(world: World) -> None:
    """Over loopback, IPv4 or IPv6, nobody is asked; from elsewhere it is 401, with the command that makes the first key."""
    assert [world.post("/v1/traces", SPANS, peer=peer).status_code for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == [
        200
    ] * 3
    refused = world.post("/v1/traces", SPANS, peer="192.168.1.7")
    status = Status.FromString(refused.content)
    assert (refused.status_code, status.code, refused.headers["www-authenticate"]) == (401, 16, "Bearer")
    assert "`rota key create --scope admin`" in status.message


def test_a_key_for_pings_asks_nobody(world: World) -> None:
    """It opens nothing else and closes nothing else."""
    world.key("ping")
    assert world.post("/v1/traces", SPANS).status_code == 200


@pytest.mark.parametrize("scope", SCOPES)
def test_which_scopes_may_send(world: World, scope: str) -> None:
    """ingest, and what includes it; another is 403 and says which it needs."""
    world.key("admin")
    answer = world.post("/v1/traces", SPANS, world.key(scope))
    assert answer.status_code == {"ping": 403, "read": 403}.get(scope, 200)
    if answer.status_code == 403:
        status = Status.FromString(answer.content)
        assert status.code == 7
        assert f"needs a key of the scope ingest, and '{scope} " in status.message


def test_a_refusal_is_in_the_encoding_of_the_request_and_nothing_is_kept(world: World) -> None:
    """JSON to JSON; the body is not read, let alone kept."""
    world.key("admin")
    answer = world.post("/v1/logs", b"{", "ri_none", json=True)
    assert (answer.status_code, answer.json()["code"]) == (401, 16)
    assert world.kept() == []


def test_who_sends_too_often_is_asked_to_wait(world: World) -> None:
    """503 with Retry-After and RetryInfo, as older exporters take 429 as final; another key is not touched by it."""
    world.key("admin")
    key = world.key("ingest")
    assert world.post("/v1/traces", SPANS, key).status_code == 200
    answer = world.post("/v1/traces", SPANS, key)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    info = RetryInfo()
    assert Status.FromString(answer.content).details[0].Unpack(info)
    assert info.retry_delay.seconds == 10
    assert world.post("/v1/traces", SPANS, world.key("ingest")).status_code == 200
    world.clock.advance(10)
    assert world.post("/v1/traces", SPANS, key).status_code == 200


@pytest.mark.parametrize("is_json", [False, True])
def test_rows_of_others_are_rejected_and_counted(world: World, is_json: bool) -> None:
    """What is the key's is kept, the rest is not, and the answer says how many and why."""
    world.key("admin")
    message = traces(span(1, about("a.one")), span(2, about("b.one")), span(3, about("a.two")))
    body = to_json(message) if is_json else message.SerializeToString()
    answer = world.post("/v1/traces", body, world.key("ingest", pattern="a.*"), json=is_json)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"] if is_json else None
    if partial is None:
        found = otlp.answers.ExportTraceServiceResponse.FromString(answer.content).partial_success
        partial = {"rejectedSpans": str(found.rejected_spans), "errorMessage": found.error_message}
    assert partial == {
        "rejectedSpans": "1",
        "errorMessage": "1 rows are of workflows that the key is not for (b.one); it is for a.*",
    }
    assert to_rows.spans(world.kept()).column("workflow").to_pylist() == ["a.one", "a.two"]


def test_what_is_all_ones_own_is_kept_to_the_byte(world: World) -> None:
    """As if the key had no limits."""
    world.key("admin")
    body = traces(span(1, about("a.one"))).SerializeToString()
    assert world.post("/v1/traces", body, world.key("ingest", pattern="a.*")).content == b""
    assert [record.payload for record in world.kept()] == [body]


def test_what_is_all_others_is_not_kept(world: World) -> None:
    """Nothing of it is in the journal."""
    world.key("admin")
    answer = world.post("/v1/traces", traces(span(1, about("b.one"))).SerializeToString(), world.key("ingest", workflow="a"))
    assert answer.status_code == 200
    assert b"(b.one); it is for a" in answer.content
    assert world.kept() == []


def state(about_log: Any, resource: Any = ()) -> bytes:
    """A run state, as the only record of a request."""
    return logs(log(1, about_log, event_name=names.RUN_STATE_EVENT), resource=resource).SerializeToString()


@pytest.mark.parametrize(
    ("own", "resource", "is_kept"),
    [
        (about("a.x"), (), True),
        (about("b.x"), about("a.x"), False),
        (about(None), about("a.x"), True),
        (about(None), about("b.x"), False),
        (about(None), [("service.name", "a.x")], True),
        (about(None), [("service.name", "b.x")], False),
        (about(None), (), False),
        (about(None), [("service.name", "rota-agent")], False),
        ([(names.WORKFLOW, 5)], about("a.x"), False),
        ([(names.WORKFLOW, "a.x"), (names.WORKFLOW, "b.x")], (), False),
    ],
)
def test_whose_a_row_is(own: Any, resource: Any, is_kept: bool) -> None:
    """It is as the stores read it; what can be read in two ways is nobody's."""
    payload = state([*own, (names.RUN_ID, "r"), (names.STATE, "running")], resource)
    found = narrowed(Signal.LOGS_PROTO, payload, OF_A)
    assert (found.rejected == 0) is is_kept
    left = to_rows.run_events([Record(0, 1, found.signal, 1, found.payload)])
    assert all(OF_A.allows(event.workflow) for event in left)
    assert len(left) == is_kept


@pytest.mark.parametrize(("dag", "is_kept"), [("a.dag", True), ("b.dag", False)])
def test_a_span_of_an_orchestrator_is_of_the_run_that_it_tells_of(dag: str, is_kept: bool) -> None:
    """A span that comes from a service of the key's, and is the end of another's run, is not taken."""
    told = [("airflow.dag_id", dag), ("airflow.dag_run.run_id", "r"), ("airflow.dag_run.run_type", "manual")]
    request = traces(span(1, told), resource=[("service.name", "a.x")])
    request.resource_spans[0].scope_spans[0].scope.name = "airflow.models.dagrun"
    found = narrowed(Signal.TRACES_PROTO, request.SerializeToString(), OF_A)
    assert (found.rejected == 0) is is_kept


@pytest.mark.parametrize("service", ["a.x", "rota-agent", "prefect"])
def test_that_somebody_looks_at_a_system_is_about_workflows_of_others_too(service: str) -> None:
    """Whoever may not speak of all does not say so; nor is it told again and again that it was left out."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.extend(attributes([("service.name", service)]))
    rows = resource.scope_logs.add().log_records
    rows.add(event_name=names.LOOK_EVENT, attributes=attributes([(names.SOURCE, "prefect"), (names.WORKFLOW, "a.x")]))
    rows.add(event_name=names.SCHEDULE_EVENT, attributes=attributes([(names.SOURCE, "prefect"), (names.WORKFLOW, "a.x")]))
    found = narrowed(Signal.LOGS_PROTO, request.SerializeToString(), OF_A)
    left = [Record(0, 1, found.signal, 1, found.payload)]
    assert (found.rejected, found.reason) == (0, "")
    assert (to_rows.looks(left), [each.workflow for each in to_rows.schedules(left)]) == ([], ["a.x"])


def test_what_an_agent_says_of_itself_is_nobodys(world: World) -> None:
    """Its log records without a workflow, and metrics without one: they make no run. A point that names another's is rejected."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.extend(attributes([("service.name", "rota-agent")]))
    resource.scope_logs.add().log_records.add()
    assert narrowed(Signal.LOGS_PROTO, request.SerializeToString(), OF_A).rejected == 0
    metrics = ExportMetricsServiceRequest()
    points = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points
    points.add(as_int=1)
    points.add(as_int=2, attributes=attributes(about("b.x")))
    points.add(as_int=3, attributes=attributes(about("a.x")))
    found = narrowed(Signal.METRICS_PROTO, metrics.SerializeToString(), OF_A)
    left = ExportMetricsServiceRequest.FromString(bytes(found.payload))
    kept = left.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points
    assert (found.rejected, [point.as_int for point in kept]) == (1, [1, 3])


@pytest.fixture
def export(world: World) -> Iterator[Any]:
    """Sends spans over gRPC, with a key or without."""
    receiver = over_grpc.Receiver(world.journal, "127.0.0.1:0", gate=world.gate)
    with grpc.insecure_channel(f"127.0.0.1:{receiver.port}") as channel:
        stub = TraceServiceStub(channel)

        def call(key: str | None = None) -> Any:
            metadata = () if key is None else (("authorization", f"Bearer {key}"),)
            request = traces(span(1, about("a.one")), span(2, about("b.one")))
            return stub.Export(request, metadata=metadata, timeout=10)

        yield call
    receiver.close()


def code_of(call: Any, *given: Any) -> tuple[str, Status]:
    with pytest.raises(grpc.RpcError) as caught:
        call(*given)
    error: Any = caught.value
    return error.code().name, Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])


def test_grpc_asks_for_a_key_too(world: World, export: Any) -> None:
    """Nobody while there is none; then UNAUTHENTICATED without, PERMISSION_DENIED with another; with one it is as over HTTP."""
    assert not export().HasField("partial_success")
    world.key("admin")
    assert code_of(export)[0] == "UNAUTHENTICATED"
    assert code_of(export, "ri_none")[0] == "UNAUTHENTICATED"
    assert code_of(export, world.key("read"))[0] == "PERMISSION_DENIED"
    partial = export(world.key("ingest", pattern="a.*")).partial_success
    assert (partial.rejected_spans, "(b.one)" in partial.error_message) == (1, True)


def test_grpc_says_when_to_come_again(world: World, export: Any) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo, which makes it one to repeat."""
    world.key("admin")
    key = world.key("ingest")
    export(key)
    code, status = code_of(export, key)
    info = RetryInfo()
    assert (code, status.details[0].Unpack(info), info.retry_delay.seconds) == ("RESOURCE_EXHAUSTED", True, 10)


@pytest.mark.parametrize(
    ("path", "peer", "status"),
    [
        ("/api/v1/runs", "192.168.1.7", 401), ("/metrics", "192.168.1.7", 401), ("/healthz", "192.168.1.7", 200),
        ("/api/v1/runs", "127.0.0.1", 200), ("/api/v1/runs", "::1", 200),
    ],
)  # fmt: skip
def test_without_a_key_made_the_api_answers_this_machine_only(world: World, path: str, peer: str, status: int) -> None:
    """Even when the last key goes while it listens for all the world; whether it is well anybody may ask."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask() -> int:
        async def send() -> int:
            transport = httpx.ASGITransport(Nearby(app, world.keys), client=(peer, 4711))
            async with httpx.AsyncClient(transport=transport, base_url="http://rota") as client:
                return (await client.get(path)).status_code

        return asyncio.run(send())

    assert ask() == status
    world.key("admin")
    assert ask() == 200  # whoever answers asks for the key
