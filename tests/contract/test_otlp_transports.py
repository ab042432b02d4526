"""OTLP over TLS, with client certificates, from pages in browsers, over a Unix socket: each against a real collector."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from certificates import Authority, Pair, context_of
from collectors import CollectorProcess
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from otlp_messages import span, to_json, traces

from rota_collector.receive.cors import Cors

PAGE = "https://app.example.org"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-mine"}
JSON = {"content-type": "application/json"}
BODY = to_json(traces(span(1)))


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Path:
    """Where ``near`` has its Unix socket."""
    return Path(tmp_path_factory.mktemp("local") / "rota.sock")


@pytest.fixture(scope="module")
def near(local) -> Iterator[CollectorProcess]:
    """A collector with a Unix socket that takes telemetry from a page."""
    settings = {"ROTA_HTTP_SOCKET": str(local), "ROTA_CORS_ORIGINS": f"https://other.example.org,{PAGE}"}
    found = CollectorProcess(local.parent / "home", local.parent / "stderr", **settings).start()
    yield found
    assert (found.stop(), local.exists()) == (0, False)
    found.close()


def post(collector: CollectorProcess, context: ssl.SSLContext) -> httpx.Response:
    return httpx.post(f"{collector.url}/v1/traces", content=BODY, headers=JSON, verify=context, trust_env=False)


def export(address: str, authority: Authority, client: Pair | None) -> Any:
    """One call of Export over gRPC."""
    pair = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes(), *pair)
    with grpc.secure_channel(address, credentials) as channel:
        return TraceServiceStub(channel).Export(traces(span(1)), timeout=10)


def test_plain_http_is_not_answered_where_tls_is(secure):
    """With a certificate and its key HTTP is HTTPS, and nothing else; the collector says so."""
    assert f"listening on {secure.url}" in secure.stderr
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://{secure.addresses['http']}/v1/traces", content=BODY, headers=JSON, trust_env=False)


def test_http_takes_certified_clients_only(secure, authority, tmp_path):
    """With a client authority, who has a certificate from it may send; who has none, or one from elsewhere, may not."""
    assert post(secure, context_of(authority, authority.sign("client"))).status_code == 200
    for stranger in (None, Authority(tmp_path, "elsewhere").sign("client")):
        with pytest.raises(httpx.TransportError):
            post(secure, context_of(authority, stranger))


def test_grpc_takes_certified_clients_only(secure, authority, tmp_path):
    """gRPC asks for the same certificates."""
    address = secure.addresses["grpc"]
    assert not export(address, authority, authority.sign("client")).HasField("partial_success")
    for stranger in (None, Authority(tmp_path, "elsewhere").sign("client")):
        with pytest.raises(grpc.RpcError) as caught:
            export(address, authority, stranger)
        refused: Any = caught.value
        assert refused.code() == grpc.StatusCode.UNAVAILABLE


def test_a_unix_socket(near, local):
    """HTTP listens on a Unix socket besides: OTLP and API."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(local)), base_url="http://localhost") as client:
        assert client.post("/v1/traces", content=BODY, headers=JSON).status_code == 200
        assert client.get("/api/v1/runs").status_code == 200
    assert near.get("/readyz").status_code == 200


def preflight(url: str, origin: str = PAGE, **more: str) -> httpx.Response:
    headers = {"origin": origin, **PREFLIGHT, **more}
    return httpx.options(f"{url}/v1/traces", headers=headers, trust_env=False)


def test_pages_may_not_send_unasked(shared_collector):
    """Without the setting a browser is told nothing that would let a page send."""
    assert not [name for name in preflight(shared_collector.url).headers if name.startswith("access-control")]


def test_a_page_asks_first(near):
    """A page of a named origin is told that it may POST, with the headers that it wants to send."""
    asked = preflight(near.url, **{"access-control-request-private-network": "true"})
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, PAGE)
    assert asked.headers["access-control-allow-methods"] == "POST"
    assert asked.headers["access-control-allow-headers"] == "content-type,x-mine"
    assert asked.headers["access-control-allow-private-network"] == "true"


@pytest.mark.parametrize(("content", "status"), [(BODY, 200), (b"no", 400)])
def test_a_page_may_read_what_it_is_answered(near, content, status):
    """Good answers and refusals alike name the page's origin, and let it see when to come back."""
    answer = httpx.post(f"{near.url}/v1/traces", content=content, headers={**JSON, "origin": PAGE}, trust_env=False)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
    assert "retry-after" in answer.headers["access-control-expose-headers"]


def test_pages_of_other_origins_may_not(near):
    """A page that is not named is told nothing, and no page may use the API."""
    assert "access-control-allow-origin" not in preflight(near.url, "https://evil.example.org").headers
    api = httpx.get(f"{near.url}/api/v1/runs", headers={"origin": PAGE}, trust_env=False)
    assert "access-control-allow-origin" not in api.headers


def test_a_star_is_every_origin():
    """`*` lets any page send; it is answered by its own name."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def post_from_a_page() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(Cors(app, {"*"})), base_url="http://rota") as client:
            return await client.post("/v1/traces", headers={"origin": PAGE})

    assert asyncio.run(post_from_a_page()).headers["access-control-allow-origin"] == PAGE
