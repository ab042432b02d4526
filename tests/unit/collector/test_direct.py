"""The short way to the endpoints that are asked most: nobody can tell it from the usual one."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from asking import Api, new_stores
from fastapi.routing import APIRoute

from rota_collector.api import permission
from rota_collector.api.direct import Direct

ASK = "/api/v1/permission"
JSON = {"Content-Type": "application/json"}
WITH_CHARSET = {"Content-Type": "application/json; charset=utf-8"}
RIGHT = {"workflow": "w", "run_id": "r"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Api:
    return Api(new_stores(tmp_path_factory.mktemp("direct")))


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The same without a short way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permission, "Direct", APIRoute)
        return Api(new_stores(tmp_path_factory.mktemp("usual")))


REQUESTS: dict[str, dict[str, Any]] = {
    "right": {"json": RIGHT},
    "all of it": {"json": {**RIGHT, "attempt": 2, "slot_at": "2026-01-01T02:00:00+01:00", "facts": {"a": [1, None]}}},
    "with a key": {"json": RIGHT, "headers": {"Idempotency-Key": "k"}},
    "with a charset": {"content": b'{"workflow": "w", "run_id": "r"}', "headers": WITH_CHARSET},
    "no workflow": {"json": {"run_id": "r"}},
    "an unknown name": {"json": {**RIGHT, "runid": "r"}},
    "a text for a number": {"json": {**RIGHT, "attempt": "1"}},
    "not a number": {"content": b'{"workflow": "w", "run_id": "r", "wait_seconds": NaN}', "headers": JSON},
    "half a surrogate pair": {"content": b'{"workflow": "w", "run_id": "\\ud800"}', "headers": JSON},
    "twice the same name": {"content": b'{"workflow": "v", "workflow": "w", "run_id": "r"}', "headers": JSON},
    "no JSON": {"content": b"{", "headers": JSON},
    "nothing": {"headers": JSON},
    "a list": {"json": []},
    "text": {"content": b'{"workflow": "w", "run_id": "r"}', "headers": {"Content-Type": "text/plain"}},
    "no type": {"content": b'{"workflow": "w", "run_id": "r"}'},
    "an empty key": {"json": RIGHT, "headers": {"Idempotency-Key": ""}},
    "a long key": {"json": RIGHT, "headers": {"Idempotency-Key": "k" * 201}},
}  # fmt: skip


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_an_answer_is_that_of_the_usual_way(api: Api, usual: Api, request_: dict[str, Any]) -> None:
    """Whatever comes is answered with the same status and the same words."""
    assert told(api("POST", ASK, **request_)) == told(usual("POST", ASK, **request_))


def test_a_lease_is_kept_and_given_back_as_in_the_usual_way(api: Api, usual: Api) -> None:
    """The id in the path and the token in the body reach the room; a token that is none is refused in the same words."""
    answers = [_of_a_lease(each) for each in (api, usual)]
    assert answers[0] == answers[1]
    assert [status for status, _ in answers[0]] == [200, 422, 404, 200, 409]


def _of_a_lease(api: Api) -> list[tuple[int, Any]]:
    api("PUT", "/api/v1/workflows/leased/policy", json={"gates": [{"kind": "concurrency", "limit": 1}]})
    (lease,) = api("POST", ASK, json={"workflow": "leased", "run_id": "l"}).json()["leases"]
    tokens = (("renew", lease["id"], 1), ("renew", lease["id"], "1"), ("renew", "none", 1), ("release", lease["id"], 1))
    asked = [api("POST", f"/api/v1/leases/{one}/{what}", json={"token": token}) for what, one, token in tokens]
    asked.append(api("POST", f"/api/v1/leases/{lease['id']}/renew", json={"token": 1}))
    return [(each.status_code, each.text.replace(lease["id"], "ID")) for each in asked]


def test_who_goes_away_in_the_middle_of_a_question_is_no_fault_of_ours(api: Api, usual: Api) -> None:
    """It is answered as in the usual way, for nobody: nothing is logged as if the collector had failed."""
    assert _broken_off(api) == _broken_off(usual) == 400


def _broken_off(api: Api) -> int:
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    headers = [(b"host", b"127.0.0.1:4318"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": ASK, "query_string": b"", "headers": headers}
    asyncio.run(api._app(scope, receive, send))
    status: int = said[0]["status"]
    return status


def test_a_right_question_is_not_looked_at_twice(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the short way that is taken, and not only declared: nothing of FastAPI reads its parameters."""

    async def fail(**_: Any) -> None:
        raise AssertionError("FastAPI solves dependencies")

    monkeypatch.setattr("fastapi.routing.solve_dependencies", fail)
    assert api("POST", ASK, json=RIGHT).status_code == 200


def test_an_endpoint_that_takes_something_else_is_refused() -> None:
    """At the start, and not when somebody asks."""

    async def endpoint(body: permission.permission_models.Token, colour: str) -> None: ...

    with pytest.raises(TypeError, match=r"/x: .* colour"):
        Direct("/x", endpoint, methods=["POST"])


def told(response: httpx.Response) -> tuple[int, Any]:
    """What of an answer does not depend on when it was given, nor on a ticket that was drawn."""
    return response.status_code, response.json()
