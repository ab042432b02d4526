"""Who may ask: keys of the API, their scopes, and what each request needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asking import SECOND, T0, Api, new_stores
from fastapi import APIRouter

from rota_collector.api import access
from rota_collector.clock import ManualClock
from rota_collector.domain.incident import Alerting, Incident, incident_id, told
from rota_collector.errors import AdminFirst, LastAdmin
from rota_collector.store.control import Control
from rota_collector.store.incidents import keep
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import GUARDED, Keys


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    stores = new_stores(tmp_path)
    yield Api(stores)
    stores.control.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, dict[str, str]]]:
    """An API that asks for keys, and one key of each scope."""
    stores = new_stores(tmp_path_factory.mktemp("closed"))
    api = Api(stores)
    yield api, {scope: made(api, scope)["key"] for scope in ("admin", "operate", "read", "ping")}
    stores.control.close()


def made(api: Api, scope: str, name: str = "") -> dict[str, Any]:
    """A key, made past the API: its id and its plain text."""
    found = api.stores.key_changes.create(scope, name=name, now_ns=T0)
    assert found is not None
    return {"id": found[0].id, "key": found[1]}


def bearing(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


def test_a_route_that_changes_says_what_it_needs() -> None:
    """One that does more than read and declares nothing keeps the collector from starting; one that reads need not."""
    router = APIRouter()
    router.get("/known")(lambda: None)
    router.post("/declared", dependencies=[access.operate])(lambda: None)
    assert access.declared(router) is router
    router.post("/forgotten")(lambda: None)
    with pytest.raises(TypeError, match=r"POST /forgotten .* dependencies=\[access.operate\]"):
        access.declared(router)


def test_without_keys_everything_is_allowed(api: Api) -> None:
    """On loopback, with no key made, reading and writing need none; a key that pings changes nothing, nor does one sent."""
    made(api, "ping")
    assert api.item("/me") == {"name": None, "scope": "admin", "is_open": True, "workflows": None, "expires_at": None}
    assert api.item("/runs") == {"items": [], "next": None}
    assert api.change("PUT", "/workflows/w/policy", {})["version"] == 1
    assert api.change("POST", "/maintenance", {"seconds": 9}, **bearing("rr_none"))["by"] == "api"


def test_what_is_outside_the_api_is_guarded_as_the_api_is(closed: tuple[Api, dict[str, str]]) -> None:
    """Without a key, or with one that pings, it is 401; with one that reads it is answered."""
    api, keys = closed
    for sent, status in (({}, 401), (bearing(keys["ping"]), 401), (bearing(keys["read"]), 200)):
        assert api("GET", "/metrics", **sent).status_code == status


def test_some_things_are_for_anybody(closed: tuple[Api, dict[str, str]]) -> None:
    """Whether the collector is well, and what can be asked for, needs no key."""
    for path in ("/healthz", "/readyz", "/api/v1/openapi.json"):
        assert closed[0]("GET", path).status_code == 200


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({}, "it came without `Authorization: Bearer KEY`"),
        ({"Authorization": "Basic YTpi"}, "it came without `Authorization: Bearer KEY`"),
        ({"Authorization": "Bearer "}, "it came without `Authorization: Bearer KEY`"),
        ({"Authorization": "Bearer rr_\xff"}, "the one that came with it is unknown, was revoked, or has expired"),
    ],
)
def test_who_has_no_key_learns_how_to_get_one(closed: tuple[Api, dict[str, str]], sent: dict[str, str], why: str) -> None:
    """401 says what is wrong with what came, and what to do; its header names the scheme."""
    answer = closed[0]("GET", "/api/v1/runs", headers=[(name, value.encode("latin-1")) for name, value in sent.items()])
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    error = answer.json()["error"]
    assert (error["code"], error["message"]) == ("no_key", f"GET /api/v1/runs needs a key: {why}")
    assert "rota key create --scope read" in error["hint"]
    assert "ROTA_TOKEN" in error["hint"]


def test_a_key_is_sent_as_others_send_it(closed: tuple[Api, dict[str, str]]) -> None:
    """The word Bearer is the same in any case."""
    api, keys = closed
    assert api("GET", "/api/v1/me", headers={"Authorization": f"bearer {keys['read']}"}).status_code == 200


def test_a_key_for_pings_opens_nothing_else(closed: tuple[Api, dict[str, str]]) -> None:
    """It is said that this is what is wrong."""
    api, keys = closed
    answer = api("GET", "/api/v1/runs", **bearing(keys["ping"]))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "no_key")
    assert "is for ping only" in answer.json()["error"]["message"]


def test_a_key_that_is_revoked_opens_nothing(api: Api) -> None:
    """From the next request on."""
    made(api, "admin")
    key = made(api, "read")
    assert api("GET", "/api/v1/runs", **bearing(key["key"])).status_code == 200
    api.stores.key_changes.revoke(key["id"], T0)
    assert api("GET", "/api/v1/runs", **bearing(key["key"])).status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/nonsense", "/api/v1/runs/", "/api/v1/openapi.json/", "/%61pi/v1/runs"])
def test_without_a_key_nobody_learns_what_is_there(closed: tuple[Api, dict[str, str]], path: str) -> None:
    """A path that does not exist, or is written in another way, is 401 as any other."""
    assert closed[0]("GET", path).status_code == 401


def test_what_a_stranger_sends_is_not_read(closed: tuple[Api, dict[str, str]]) -> None:
    """A body that is no JSON is 401 without a key, not 422."""
    assert closed[0]("POST", "/api/v1/sql", content=b"{", headers={"Content-Type": "application/json"}).status_code == 401


def test_who_may_not_learns_what_is_needed(api: Api) -> None:
    """403 names the scope that the request needs, the key and its scope, and says who can help."""
    made(api, "admin")
    answer = api("POST", "/api/v1/policies", **bearing(made(api, "operate", "night shift")["key"]))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "not_allowed")
    assert error["message"] == "POST /api/v1/policies needs a key of the scope admin, and 'night shift' is of operate"
    assert "`rota key create --scope admin`" in error["hint"]


def test_a_key_knows_what_it_is(api: Api) -> None:
    """/me says the name and the scope of the key; one without a name is called by its scope and the beginning of its id."""
    named, unnamed = made(api, "admin", "ada"), made(api, "read")
    found = [api("GET", "/api/v1/me", **bearing(key["key"])).json() for key in (named, unnamed)]
    assert found == [
        {"name": "ada", "scope": "admin", "is_open": False, "workflows": None, "expires_at": None},
        {"name": f"read {unnamed['id'][:8]}", "scope": "read", "is_open": False, "workflows": None, "expires_at": None},
    ]


@pytest.mark.parametrize(
    ("scope", "prefix"), [("ping", "rp_"), ("ingest", "ri_"), ("read", "rr_"), ("operate", "ro_"), ("admin", "ra_")]
)
def test_a_key_shows_its_scope(api: Api, tmp_path: Path, scope: str, prefix: str) -> None:
    """Its first letters say what it is for; only one for pings has an address; only its hash is kept."""
    admin = bearing(made(api, "admin")["key"])
    item = api.change("POST", "/keys", {"scope": scope, "name": "n"}, **admin)
    assert item["key"].startswith(prefix)
    assert (item["path"] is None) == (scope != "ping")
    assert item["key"] not in api("GET", "/api/v1/keys", **admin).text
    assert not any(item["key"].encode() in file.read_bytes() for file in tmp_path.glob("control.sqlite*"))


@pytest.mark.parametrize("scope", GUARDED)
def test_only_a_ping_key_comes_from_elsewhere(api: Api, scope: str) -> None:
    """What is known elsewhere, and stands in crontabs, opens no more than it did there."""
    asked = {"scope": scope, "value": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    assert api.refusal("POST", "/keys", json=asked)[:2] == (422, "invalid")


@pytest.mark.parametrize(
    "asked",
    [
        {"workflow": "w", "patterns": ["w*"]}, {"patterns": ["w[ab]"]}, {"patterns": ["w*\nx*"]}, {"patterns": [""]},
        {"pattern": "w*"}, {"seconds": 0}, {"until": "2001-01-01T00:00Z"}, {"until": "2101-01-01T00:00Z", "seconds": 9},
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_kept_is_refused(api: Api, asked: dict[str, Any]) -> None:
    """Bound and free, a pattern that is more than * and ?, an end that is over, a limit by a name that does not exist."""
    made(api, "admin")
    key = bearing(made(api, "admin")["key"])
    assert api.refusal("POST", "/keys", json={"scope": "read", **asked}, **key)[:2] == (422, "invalid")


def test_a_key_knows_how_far_it_reaches(api: Api) -> None:
    """/me says the workflows that it is for, and its end."""
    admin = bearing(made(api, "admin")["key"])
    asked = {"scope": "ingest", "patterns": ["a.*", "b.?"], "seconds": 60}
    item = api.change("POST", "/keys", asked, **admin)
    assert (item["patterns"], item["expires_at"]) == (["a.*", "b.?"], "2026-09-21T14:14:20.000000Z")
    me = api("GET", "/api/v1/me", **bearing(item["key"])).json()
    assert (me["scope"], me["workflows"], me["expires_at"]) == ("ingest", ["a.*", "b.?"], item["expires_at"])


def test_a_key_ends_when_it_was_said_that_it_does(api: Api) -> None:
    """To the second; and that it does opens nothing."""
    made(api, "admin")
    key = api.stores.key_changes.create("read", expires_ns=T0 + 60 * SECOND, now_ns=T0)
    assert key is not None
    assert api("GET", "/api/v1/me", **bearing(key[1])).status_code == 200
    assert isinstance(api.stores.clock, ManualClock)
    api.stores.clock.advance(60)
    assert api("GET", "/api/v1/me", **bearing(key[1])).status_code == 401
    assert api("GET", "/api/v1/me").status_code == 401


@pytest.mark.parametrize("scope", ["ingest", "read", "operate"])
def test_the_first_key_is_an_admins(api: Api, scope: str) -> None:
    """With any other, the API would be closed to everybody who could make one; so it stays open."""
    status, code, message = api.refusal("POST", "/keys", json={"scope": scope})
    assert (status, code) == (409, "admin_first")
    assert message == "make an admin key first: with any other, nobody could make or revoke keys"
    assert api.item("/me")["is_open"]
    made(api, "admin")
    made(api, scope)


def test_the_last_admin_key_stays_while_others_depend_on_it(api: Api) -> None:
    """It says which keys must go first; once they are gone it can go too, and the API is open again."""
    admin, read, named = made(api, "admin", "ada"), made(api, "read"), made(api, "operate", "night shift")
    sending = bearing(admin["key"])
    status, code, message = api.refusal("DELETE", f"/keys/{admin['id']}", **sending)
    assert (status, code) == (409, "last_admin")
    assert message.startswith(f"without admin {admin['id'][:8]} (ada), the last admin key, nobody could revoke ")
    assert f"read {read['id'][:8]}" in message
    assert f"operate {named['id'][:8]} (night shift)" in message
    for key in (read, named, admin):
        api.change("DELETE", f"/keys/{key['id']}", **sending)
    assert api.item("/me")["is_open"]


def test_an_admin_key_that_is_not_the_last_can_go(api: Api) -> None:
    """Two admins: one may go, the other then not."""
    first, second = made(api, "admin"), made(api, "admin")
    made(api, "read")
    assert api.stores.key_changes.revoke(first["id"], T0)
    with pytest.raises(LastAdmin):
        api.stores.key_changes.revoke(second["id"], T0)


def test_many_keys_are_not_all_named(api: Api) -> None:
    """The sentence stays one that can be read."""
    admin = made(api, "admin")
    for _ in range(7):
        made(api, "read")
    with pytest.raises(LastAdmin, match=r"(read \w{8}, ){4}read \w{8} and 2 more$"):
        api.stores.key_changes.revoke(admin["id"], T0)


def test_two_at_once_cannot_lock_everybody_out(tmp_path: Path) -> None:
    """One makes a key while another revokes the last admin's, each with a connection of its own: only one of them succeeds."""
    control = Control(tmp_path / "control.sqlite")
    one, other = KeyChanges(control.engine), KeyChanges(control.engine)
    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            admin, barrier = create(one, "admin"), threading.Barrier(2)

            def after(act: Callable[[], object], barrier: threading.Barrier = barrier) -> object:
                barrier.wait()
                try:
                    return act()
                except (AdminFirst, LastAdmin) as error:
                    return error

            makes = pool.submit(after, lambda: create(one, "read"))
            revokes = pool.submit(after, lambda admin=admin: other.revoke(admin, T0))
            made, revoked = makes.result(), revokes.result()
            assert isinstance(made, AdminFirst) != isinstance(revoked, LastAdmin)
            for identity in [key.id for key in one.all() if key.scope == "read" and not key.revoked_ns]:
                one.revoke(identity, T0)
            one.revoke(admin, T0)
    control.close()


def create(keys: KeyChanges, scope: str) -> str:
    """The id of a new key."""
    found = keys.create(scope, now_ns=T0)
    assert found is not None
    return found[0].id


def test_keys_outlive_the_collector(api: Api) -> None:
    """After a restart the API is as closed as before."""
    key = made(api, "admin")
    again = Keys(api.stores.control.path, api.stores.clock)
    assert not again.is_open
    assert again.find(key["key"]) is not None


def test_the_record_names_the_key(api: Api) -> None:
    """Who does something is the name of the key when the request names nobody; a name in the request comes first."""
    made(api, "admin")
    by_key = bearing(made(api, "operate", "night shift")["key"])
    assert api.change("POST", "/maintenance", {"seconds": 9}, **by_key)["by"] == "night shift"
    assert api.change("POST", "/maintenance", {"seconds": 9, "by": "ada"}, **by_key)["by"] == "ada"
    unnamed = made(api, "operate")
    expected = f"operate {unnamed['id'][:8]}"
    assert api.change("POST", "/maintenance", {"seconds": 9}, **bearing(unnamed["key"]))["by"] == expected


def test_the_record_of_pauses_and_incidents_names_the_key(api: Api) -> None:
    """With a body and without one."""
    api.change("PUT", "/workflows/w/policy", {})
    incident = Incident(incident_id("missed", "w", "", T0), "missed", "w", "", T0, T0, "no run started")
    with api.stores.expectations.transaction() as connection:
        keep(connection, [told("opened", incident, Alerting(), T0)])
    made(api, "admin")
    by_key = bearing(made(api, "operate", "night shift")["key"])
    assert api.change("POST", "/workflows/w/pause", **by_key)["by"] == "night shift"
    assert api.change("POST", f"/incidents/{incident.id}/ack", **by_key)["acked_by"] == "night shift"


def test_the_author_of_a_policy_is_the_key(api: Api) -> None:
    """Unless the request names one; while the API is open it is `api`."""
    path = "/workflows/w/policy"
    api.change("PUT", path, {})
    key = bearing(made(api, "admin", "ada")["key"])
    api.change("PUT", path, {}, **key)
    api.change("PUT", path, {}, params={"author": "grace"}, **key)
    api.change("POST", "/policies", [{"workflow": "w"}], **key)
    versions = api("GET", f"/api/v1{path}/versions", **key).json()["items"]
    assert [each["author"] for each in versions] == ["grace", "ada", "api"]  # what is the same as before makes no version
