"""The level of a policy follows from what it has."""

from __future__ import annotations

import pytest

from rota.rules.level import level


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ({}, "observe"),
        ({"alert": {"remind": "1h"}, "tasks": {"a": None}}, "observe"),
        ({"expect": {"failures": 2}}, "expect"),
        ({"schedule": {"every": "1h"}, "retry": {"attempts": 2}}, "retry"),
        ({"tasks": {"load_*": {"retry": {"attempts": 2}}}}, "retry"),
        ({"retry": {"attempts": 2}, "gates": [{"kind": "approval"}]}, "gate"),
        ({"tasks": {"load_*": {"permit": True}}}, "gate"),
        ({"tasks": {"load_*": {"permit": True}, "*": {"permit": False}}}, "gate"),
        ({"tasks": {"*": {"permit": True}}}, "orchestrate"),
    ],
)
def test_a_policy_puts_its_workflow_on_a_level(policy, found):
    """The highest that anything in it belongs to."""
    assert level(policy) == found
