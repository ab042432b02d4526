"""Times and durations in requests: what the document says is a text is one, what it says is a number is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from asking import Api, new_stores

NO_TIMES = [1_700_000_000, 1.5, "1700000000", "-1", "1e9", True]
TIMES = ["2026-01-31T02:00:00Z", "2026-01-31T02:00Z", "2026-01-31T02:00:00.123456Z", "2026-01-31T03:00:00+01:00"]


class Place(NamedTuple):
    """Where a request has a value of that ``format``, or type."""

    method: str
    path: str
    name: str
    where: str  # query or body


@pytest.fixture(scope="module")
def api(tmp_path_factory) -> Iterator[Api]:
    stores = new_stores(tmp_path_factory.mktemp("times"))
    yield Api(stores)
    stores.control.close()


def places(document: dict[str, Any], where: str, word: str) -> Iterator[Place]:
    """Every parameter, or property of a body, that the document describes by this word."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            described = parameters(operation) if where == "query" else properties(document, operation)
            yield from (Place(method, path, name, where) for name, schema in described.items() if word in kinds(schema))


def parameters(operation: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["schema"] for each in operation.get("parameters", []) if each["in"] == "query"}


def properties(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    names = [each["$ref"].rpartition("/")[2] for each in schema.get("anyOf", [schema]) if "$ref" in each]
    return {name: found for each in names for name, found in document["components"]["schemas"][each]["properties"].items()}


def kinds(schema: dict[str, Any]) -> set[str]:
    """The formats and types that a value may have."""
    return {str(each.get(key)) for each in schema.get("anyOf", [schema]) for key in ("format", "type")}


def asked(api: Api, place: Place, value: object) -> Any:
    """The answer to a request with nothing but this value in it."""
    path = place.path.replace("{", "").replace("}", "")
    given: dict[str, Any] = {"params" if place.where == "query" else "json": {place.name: value}}
    return api(place.method.upper(), path, **given)


def test_a_time_is_a_text_wherever_a_request_has_one(api):
    """A number is none, as text neither: nobody could say whether it counts seconds or milliseconds. The answer names it."""
    document = api("GET", "/api/v1/openapi.json").json()
    found = [*places(document, "query", "date-time"), *places(document, "body", "date-time")]
    assert {(each.path, each.name) for each in found} >= {
        ("/api/v1/runs", "since"), ("/api/v1/logs", "until"), ("/api/v1/maintenance", "from"), ("/api/v1/keys", "until"),
        ("/api/v1/export", "since"), ("/api/v1/incidents/{incident_id}/snooze", "until"),
    }  # fmt: skip
    for place in found:
        for value in NO_TIMES:
            answer = asked(api, place, value)
            assert answer.status_code == 422, (place, value)
            assert f"{place.name}: " in answer.json()["error"]["message"]
            assert "is no time. Example: 2026-01-31T02:00:00Z" in answer.json()["error"]["message"]


@pytest.mark.parametrize("text", TIMES)
def test_times_are_taken_as_iso_8601_writes_them(api, text):
    """With a zone; as the command line and the dashboard send them too."""
    assert api("GET", "/api/v1/runs", params={"since": text}).status_code == 200
    assert api("POST", "/api/v1/maintenance", json={"from": text, "until": "2099-01-01T00:00:00Z"}).status_code == 200


def test_a_duration_is_a_number_wherever_a_body_has_one(api):
    """A text or a truth is none."""
    found = list(places(api("GET", "/api/v1/openapi.json").json(), "body", "number"))
    assert {each.name for each in found} == {"seconds", "overlap_seconds", "wait_seconds"}
    for place in found:
        assert [asked(api, place, value).status_code for value in ("60", True)] == [422, 422], place
    assert api("POST", "/api/v1/maintenance", json={"seconds": 60}).status_code == 200
