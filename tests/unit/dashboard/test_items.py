"""The items that these tests are made of are the API's own: field for field, column for column."""

from __future__ import annotations

import contextlib

import pytest
from dashboard_items import (
    a_decision,
    a_policy,
    a_record,
    a_run,
    a_slot,
    a_standing,
    a_version,
    a_workflow,
    an_approval,
    an_attempt,
    an_incident,
    run_columns,
    some_work,
    span_columns,
    workflow_columns,
)

from rota_collector.api import expectation_models, models, permission_models, run_models, spectrum
from rota_collector.store.control import Control
from rota_collector.store.control_queries import RunFilter
from rota_collector.store.telemetry import Telemetry

ITEMS = [
    (a_run(), models.Run), (a_workflow(), models.Workflow), (a_record(), models.Log), (a_slot(), expectation_models.Slot),
    (an_incident(), expectation_models.Incident), (a_policy({"kind": "script"}), expectation_models.Policy),
    (a_version(), expectation_models.PolicyVersion), (some_work(), run_models.Work), (a_standing(), spectrum.Standing),
    (an_approval(), permission_models.Approval), (a_decision(), permission_models.Decision), (an_attempt(1), models.Attempt),
]  # fmt: skip


@pytest.mark.parametrize(("item", "model"), ITEMS, ids=[model.__name__ for _, model in ITEMS])
def test_an_item_has_the_fields_that_the_api_documents(item, model):
    """All of them, of the types that it promises, and no other."""
    assert item.keys() == {field.alias or name for name, field in model.model_fields.items()}
    model.model_validate(item)


def test_workflows_and_runs_have_the_columns_that_the_collector_sends(tmp_path):
    """By name, type and place."""
    control = Control(tmp_path / "control.sqlite")
    with contextlib.closing(control):
        assert workflow_columns().schema == control.workflow_columns({}).schema
        assert run_columns().schema == control.run_columns(RunFilter()).schema


def test_spans_have_the_columns_that_the_collector_sends(tmp_path):
    """As DuckDB types them."""
    with contextlib.closing(Telemetry.open(tmp_path / "telemetry.duckdb", memory=200_000_000, threads=1)) as telemetry:
        assert span_columns().schema == telemetry.span_columns("01936d3e-0000-7000-8000-000000000001").schema
