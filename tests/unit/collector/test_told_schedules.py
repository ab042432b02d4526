"""What the control store learns of schedules from other systems, which tell them without a run."""

from __future__ import annotations

import pytest
from otlp_messages import T0, log, logs, record

from rota.rules.declared import Declared
from rota.wire import names
from rota_collector.decode import to_rows
from rota_collector.decode.to_rows import ToldSchedule
from rota_collector.journal import Signal

DAILY = {names.WORKFLOW: "etl", names.SOURCE: "airflow", names.SCHEDULE_SPEC: "0 2 * * *", names.SCHEDULE_TZ: "UTC"}


def told(about: dict[str, object]) -> bytes:
    """A request in which a system tells that."""
    return logs(log(1, about, event_name=names.SCHEDULE_EVENT))  # type: ignore[no-any-return]


@pytest.mark.parametrize("signal", [Signal.LOGS_PROTO, Signal.LOGS_JSON], ids=["protobuf", "json"])
def test_a_schedule_is_of_a_workflow_since_then(signal: Signal) -> None:
    """In both encodings; and it is no event of a run."""
    records = [record(told(DAILY), signal)]
    assert to_rows.schedules(records) == [ToldSchedule("etl", Declared("0 2 * * *", "UTC"), T0 + 10**9, "airflow")]
    assert to_rows.run_events(records) == []


def test_one_that_says_nothing_more_takes_it_back() -> None:
    """The workflow is paused, or its schedule was deleted."""
    (found,) = to_rows.schedules([record(told({names.WORKFLOW: "etl"}), Signal.LOGS_PROTO)])
    assert found.declared == Declared()


def test_of_no_workflow_it_is_none() -> None:
    """Nor is one whose workflow is no text."""
    requests = [told({names.SCHEDULE_SPEC: "0 2 * * *"}), told({names.WORKFLOW: 7})]
    assert to_rows.schedules([record(request, Signal.LOGS_PROTO) for request in requests]) == []
