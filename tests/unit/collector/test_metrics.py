"""`/metrics`: what Prometheus is told, and that it understands it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from asking import SECOND, T0, Api, new_stores

from rota.rules.fold import RunEvent
from rota_collector.config import Config
from rota_collector.counters import Counters, of_process
from rota_collector.decode import Accepted, check
from rota_collector.decode.from_json import to_protobuf
from rota_collector.domain.exposition import FAMILIES, series, text, wants_openmetrics
from rota_collector.errors import ConfigError
from rota_collector.journal import Signal
from rota_collector.receive.tally import GRPC, HTTP, Tally

SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (-?[0-9.e+-]+|[+-]Inf|NaN)')
ODD = 'a"b\\c\nd'  # all that a label escapes


def event(workflow: str, state: str, number: int) -> RunEvent:
    """Of run ``number``, which started so many minutes after T0 and, when it is over, took 5 s."""
    at_ns = T0 + 60 * number * SECOND
    over = state != "running"
    return RunEvent(
        event_id=f"{workflow}{number}{state}", run_id=f"00000000-0000-7000-8000-{number:012}", workflow=workflow,
        state=state, at_ns=at_ns + 5 * SECOND * over, started_ns=at_ns, source="sdk",
    )  # fmt: skip


@pytest.fixture
def api(tmp_path: Path):
    """With a workflow that succeeded and then failed, and one of an odd name that runs."""
    stores = new_stores(tmp_path)
    events = [event("etl", "succeeded", 1), event("etl", "failed", 2), event(ODD, "running", 3)]
    stores.control.apply(events, 1)
    yield Api(stores)
    stores.control.close()


def page(api: Api, accept: str = "") -> str:
    """A good answer."""
    found = api("GET", "/metrics", headers={"accept": accept})
    assert found.status_code == 200, found.text
    return found.text


def samples(text: str) -> dict[str, float]:
    """Series → number; every line is one that Prometheus's grammar knows."""
    lines = [line for line in text.split("\n")[:-1] if not line.startswith("#")]
    assert [line for line in lines if not SAMPLE.fullmatch(line)] == []
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_a_workflow_has_the_numbers_that_alerts_are_made_of(api: Api) -> None:
    """The end of its last success, and of its last run: start, duration, state; what became of the last ones; incidents."""
    found = samples(page(api))
    at = T0 / SECOND
    assert found['rota_workflow_last_success_timestamp_seconds{workflow="etl"}'] == at + 65
    assert found['rota_workflow_last_run_timestamp_seconds{workflow="etl"}'] == at + 120
    assert found['rota_workflow_last_run_duration_seconds{workflow="etl"}'] == 5
    assert found['rota_workflow_last_run_state{workflow="etl",state="failed"}'] == 1
    assert found['rota_workflow_recent{workflow="etl",outcome="succeeded"}'] == 1
    assert found['rota_workflow_incidents_open{workflow="etl"}'] == 0


def test_what_is_not_known_is_not_told(api: Api) -> None:
    """A workflow that never succeeded has no time of success, one that runs no duration, one without a schedule no slot."""
    mine = [name for name in samples(page(api)) if series("x", workflow=ODD)[1:-1] in name]
    told = {name.partition("{")[0] for name in mine}
    assert "rota_workflow_last_run_timestamp_seconds" in told
    absent = ("last_success_timestamp_seconds", "last_run_duration_seconds", "next_slot_timestamp_seconds", "last_verdict")
    assert told & {f"rota_workflow_{name}" for name in absent} == set()


def test_a_name_cannot_break_out_of_its_label(api: Api) -> None:
    """Quotes, backslashes and line ends are escaped, as the format wants them."""
    assert r'rota_workflow_paused{workflow="a\"b\\c\nd"} 0' in page(api).splitlines()


def test_workflows_beyond_the_limit_are_counted_and_no_more(api: Api) -> None:
    """The page stays short however many workflows there are, and says that some are left out."""
    object.__setattr__(api.stores, "metrics_workflows", 1)
    found = samples(page(api))
    assert (found["rota_workflows"], found["rota_workflows_left_out"]) == (2, 1)
    assert [name for name in found if 'workflow="etl"' in name] == []


def test_a_family_is_one_block_with_its_meaning(api: Api) -> None:
    """HELP and TYPE once, before its samples, which stand together."""
    blocks = re.split(r"(?m)^# HELP ", page(api))[1:]
    names = [block.partition(" ")[0] for block in blocks]
    assert len(names) == len(set(names))
    for name, block in zip(names, blocks, strict=True):
        lines = block.splitlines()[1:]
        assert lines[0] == f"# TYPE {name} {FAMILIES[name].kind}"
        assert lines[1:]
        assert {re.split("[{ ]", line)[0] for line in lines[1:]} == {name}


def test_openmetrics_is_answered_to_who_asks_for_it(api: Api) -> None:
    """Its counters are families without _total, and it says where it ends; everybody else gets the old text."""
    object.__setattr__(api.stores, "numbers", lambda: of_process("front"))
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    answer = api("GET", "/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("\n# EOF\n")
    assert "# TYPE rota_process_cpu_seconds counter\nrota_process_cpu_seconds_total{" in re.sub("# HELP.*\n", "", answer.text)
    plain = api("GET", "/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "EOF" not in plain.text
    assert not wants_openmetrics("application/openmetrics-text;q=0, text/plain")


def test_what_the_collector_counts_is_told(api: Api) -> None:
    """Its own numbers, keys, lags and files, and whatever the other process hands over."""
    object.__setattr__(api.stores, "home", Path(api.stores.control.engine.url.database).parent)
    object.__setattr__(api.stores, "numbers", lambda: {"rota_journal_bytes_total": 7, **of_process("front")})
    api.stores.keys.create("ping", name="", workflow=None, pattern=None, now_ns=T0)
    found = samples(page(api))
    assert found["rota_journal_bytes_total"] == 7
    assert found['rota_keys{scope="ping"}'] == 1
    assert found['rota_store_lag_bytes{store="telemetry"}'] == 0
    assert found['rota_store_bytes{store="control"}'] > 4096
    assert found["rota_disk_free_bytes"] > 0
    assert found['rota_process_resident_memory_bytes{process="front"}'] > 1 << 20


def test_a_series_without_a_meaning_is_an_error() -> None:
    """Nothing is published that the table does not explain."""
    with pytest.raises(KeyError, match="rota_nonsense"):
        text({"rota_nonsense": 1}, openmetrics=False)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_counter_is_told_by_its_name(name: str) -> None:
    """It ends in _total, and nothing else does: OpenMetrics takes no other names, and readers none without a meaning."""
    kind, meaning = FAMILIES[name]
    assert name.endswith("_total") == (kind == "counter")
    assert name.startswith("rota_")
    assert meaning


def test_a_histogram_counts_up_to_each_bound() -> None:
    """Buckets are cumulative, up to +Inf, and agree with count and sum."""
    counters = Counters()
    for seconds in (0.0004, 0.004, 9.0):
        counters.observe("rota_journal_sync_seconds", seconds)
    found = samples(text(counters.read(), openmetrics=False))
    buckets = [found[f'rota_journal_sync_seconds_bucket{{le="{bound}"}}'] for bound in ("0.0005", "0.005", "5.0", "+Inf")]
    assert (*buckets, found["rota_journal_sync_seconds_count"]) == (1, 2, 2, 3, 3)
    assert found["rota_journal_sync_seconds_sum"] == pytest.approx(9.0044)


def test_requests_are_counted_by_signal_transport_and_answer() -> None:
    """What was kept with its items and bytes, what was refused with its status."""
    tally = Tally()
    tally.kept("traces", HTTP, Accepted(1, "1 span has no valid id", 10), 512)
    tally.refused("logs", GRPC, "UNAVAILABLE", "no space left")
    assert tally.counters.read() == {
        'rota_requests_total{signal="traces",transport="http",code="200"}': 1,
        'rota_items_accepted_total{signal="traces"}': 9,
        'rota_received_bytes_total{signal="traces"}': 512,
        'rota_items_rejected_total{signal="traces"}': 1,
        'rota_requests_total{signal="logs",transport="grpc",code="UNAVAILABLE"}': 1,
    }


METRICS_JSON = b"""{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
  {"name":"a","gauge":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}},{"name":"b","sum":{"dataPoints":[{"asInt":"1"}]}},
  {"name":"c","histogram":{"dataPoints":[{}]}},{"name":"d","exponentialHistogram":{"dataPoints":[{}]}},
  {"name":"e","summary":{"dataPoints":[{}]}},{"name":"f"}]}]},{}]}"""
LOGS_JSON = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]},{}]},{"scopeLogs":[{"logRecords":[{}]}]}]}'
SPAN = b'{"traceId":"01010101010101010101010101010101","spanId":"0202020202020202","name":"n"}'
TRACES_JSON = b'{"resourceSpans":[{"scopeSpans":[{"spans":[%s,%s,{}]}]}]}' % (SPAN, SPAN)


@pytest.mark.parametrize(
    ("signal", "body", "items"),
    [(Signal.METRICS_JSON, METRICS_JSON, 6), (Signal.LOGS_JSON, LOGS_JSON, 3), (Signal.TRACES_JSON, TRACES_JSON, 3)],
)
def test_items_of_a_request_are_counted_in_both_encodings(signal: Signal, body: bytes, items: int) -> None:
    """Spans, log records and points of every kind; the rejected ones are among them."""
    binary = Signal[signal.name.replace("JSON", "PROTO")]
    assert check(signal, body).items == items
    assert check(binary, b"".join(to_protobuf(signal, body))).items == items


@pytest.mark.parametrize(("name", "value"), [("ROTA_METRICS_WORKFLOWS", "many"), ("ROTA_LOG", "xml"), ("ROTA_LOG_LEVEL", "loud")])
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    """With its value and an example of one that can."""
    with pytest.raises(ConfigError, match=f"{name}='{value}' .* Example: {name}="):
        Config.read({name: value})
