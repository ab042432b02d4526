"""Retry budgets as the collector counts them: first attempts and retries of all hosts, refusals that are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from asking import SECOND, T0, Api, new_stores

from rota.rules.fold import RunEvent
from rota_collector.api.app import Stores
from rota_collector.config import Config
from rota_collector.errors import ConfigError
from rota_collector.store.asking import Asking

SHARED = {"name": "api", "percent": 20, "least": 2, "within": "10m"}


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Empty ones, at the time T0."""
    return new_stores(tmp_path)


@pytest.fixture
def api(stores: Stores) -> Api:
    """Asked without a key."""
    return Api(stores)


def policy(api: Api, workflow: str, **document: Any) -> None:
    api.change("PUT", f"/workflows/{workflow}/policy", document)


def ran(stores: Stores, workflow: str, many: int, at_ns: int = T0, state: str = "running") -> None:
    events = [
        RunEvent(f"{workflow}{state}{at_ns}{i}", f"{workflow}-{state}-{at_ns}-{i}", workflow, state, at_ns) for i in range(many)
    ]
    stores.control.apply(events, stores.control.offset() + 1)


def take(api: Api, workflow: str = "a", wanted: int = 1, **more: Any) -> int:
    asked = {"workflow": workflow, "run_id": "r", "wanted": wanted, **more}
    return int(api.change("POST", "/retries", asked)["granted"])


def decisions(stores: Stores) -> list[dict[str, Any]]:
    """Attributes of what waits to be brought into the journal."""
    records = json.loads("[" + ",".join(stores.expectations.queued(1000)[1]) + "]")
    return [
        {pair["key"]: next(iter(pair["value"].values())) for pair in record["attributes"]}
        for record in records
        if record["eventName"] == "rota.gate.decision"
    ]


def test_first_attempts_of_all_who_share(stores: Stores, api: Api) -> None:
    """Runs of every workflow that names the budget count, those that never began and those of others do not."""
    policy(api, "a", retry={"budget": SHARED})
    policy(api, "b", retry={"budget": SHARED})
    policy(api, "other", retry={"attempts": 2})
    for workflow in ("a", "b", "other"):
        ran(stores, workflow, 10)
    ran(stores, "a", 50, state="queued")
    assert [take(api, workflow) for workflow in "abababab"] == [1] * 6 + [0] * 2
    (found,) = api.item("/budgets")["items"]
    assert (found["firsts"], found["retries"], found["allowed"], found["workflows"]) == (20, 6, 6, ["a", "b"])


def test_a_refusal_is_told(stores: Stores, api: Api) -> None:
    """A refusal is a decision with its reason and facts, told once however often the same is asked; a grant is none."""
    policy(api, "a", retry={"budget": {**SHARED, "least": 1}})
    assert [take(api, host="h1"), take(api, host="h1"), take(api, host="h1")] == [1, 0, 0]
    told = decisions(stores)
    assert len({each["rota.event.id"] for each in told}) == 1
    assert told[0]["rota.gate.answer"] == "deny"
    assert told[0]["rota.gate.kind"] == "retry_budget"
    assert told[0]["rota.state.reason"].startswith("1 of 1 retries of the last 10 min are spent in the budget api")
    assert told[0]["host.name"] == "h1"


def test_time_gives_back(stores: Stores, api: Api) -> None:
    """What was granted counts for the budget's time, and no longer."""
    policy(api, "a", retry={"budget": SHARED})
    assert [take(api) for _ in range(3)] == [1, 1, 0]
    stores.clock.advance(600.0)  # type: ignore[attr-defined]
    assert [take(api) for _ in range(3)] == [1, 1, 0]


def test_functions_tell_their_first_attempts(api: Api) -> None:
    """A task's budget is that of its entry; what its host tells of first attempts counts, and several are granted at once."""
    policy(api, "a", tasks={"load_*": {"retry": {"budget": {"name": "api", "percent": 50, "least": 0}}}, "*": {"retry": {}}})
    assert list(api.item("/workflows/a/policy")["policy"]["tasks"]) == ["load_*", "*"]  # the first that matches holds
    assert take(api, task="load_rows", firsts=0) == 0
    assert take(api, task="load_rows", firsts=64, wanted=32) == 4  # an eighth of 32
    assert take(api, task="load_more", wanted=32) == 4
    assert take(api, task="other", wanted=32) == take(api, wanted=32) == 32  # these name none


def test_what_somebody_changes_holds_at_once(api: Api) -> None:
    """A policy that makes the budget smaller makes it smaller for all; the last one that names it takes it away."""
    policy(api, "a", retry={"budget": SHARED})
    policy(api, "b", retry={"budget": {**SHARED, "least": 0}})
    assert take(api, "a") == 0
    policy(api, "b")
    assert take(api, "a") == 1
    policy(api, "a")
    assert api.item("/budgets")["items"] == []
    assert take(api, "a", wanted=3) == 3


def test_what_is_spent_survives(tmp_path: Path, stores: Stores, api: Api) -> None:
    """A collector that is started again knows what was granted."""
    policy(api, "a", retry={"budget": SHARED})
    assert [take(api), take(api)] == [1, 1]
    stores.control.close()
    assert take(Api(new_stores(tmp_path))) == 0


def test_retries_that_name_none_share_one() -> None:
    """With a budget of the collector, policies that name none are told that one; those that name one keep it."""
    asking = Asking({"percent": 5.0})
    asking.note("a", 1, json.dumps({"retry": {"attempts": 2}, "tasks": {"*": {"retry": {}}}}, separators=(",", ":")))
    asking.note("b", 1, json.dumps({"retry": {"budget": SHARED}}, separators=(",", ":")))
    told = asking.documents()
    assert told["a"]["retry"] == {"attempts": 2, "budget": {"percent": 5.0}}
    assert told["a"]["tasks"]["*"]["retry"] == {"budget": {"percent": 5.0}}
    assert told["b"]["retry"] == {"budget": SHARED}
    assert [(each.name, each.percent) for each in asking.budgets()] == [("api", 20.0), ("default", 5.0)]


@pytest.mark.parametrize(("value", "found"), [("off", None), ("20%", {"percent": 20.0}), ("7.5", {"percent": 7.5})])
def test_the_setting(value: str, found: Any) -> None:
    """ROTA_RETRY_BUDGET is a share, or off."""
    assert Config.read({"ROTA_RETRY_BUDGET": value}).retry_budget == found


@pytest.mark.parametrize("value", ["much", "101%", "-1"])
def test_a_setting_that_cannot_be(value: str) -> None:
    """Anything else is said, with an example."""
    with pytest.raises(ConfigError, match="ROTA_RETRY_BUDGET=20%"):
        Config.read({"ROTA_RETRY_BUDGET": value})


def test_time_is_not_asked_of_the_future(stores: Stores, api: Api) -> None:
    """Runs of long ago are no first attempts of late."""
    policy(api, "a", retry={"budget": {**SHARED, "least": 0}})
    ran(stores, "a", 50, at_ns=T0 - 601 * SECOND)
    assert take(api) == 0
