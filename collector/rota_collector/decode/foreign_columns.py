"""The columns of spans that other orchestrators name in their own way: a batch at a time, and nothing where there are none."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from rota.wire import names
from rota_collector.decode.aliases import SYSTEMS, System
from rota_collector.decode.attributes import Attributes

_FOREIGN = tuple(system for system in SYSTEMS if system.run_id[-1] != names.RUN_ID)


def run_ids(about: Attributes, told: pa.StringArray) -> pa.StringArray:
    """``told``, and the runs of other systems as the text that ``foreign`` makes their id from."""
    for system in _FOREIGN:
        if about.has(system.run_id[-1]):
            told = pc.coalesce(told, _run_ids(system, about))
    return told


def tasks(about: Attributes, told: pa.StringArray) -> pa.StringArray:
    """``told``, and the tasks of other systems."""
    for system in _FOREIGN:
        if system.task and about.has(system.task):
            told = pc.coalesce(told, about.first(system.task))
    return told


def _run_ids(system: System, about: Attributes) -> pa.StringArray:
    *others, last = [about.first(name) for name in system.run_id]
    if others:
        last = pc.binary_join_element_wise(system.source, *(pc.fill_null(each, "") for each in others), last, "/")
    for name, value in system.only.items():
        last = pc.if_else(pc.fill_null(pc.equal(about.first(name), value), False), last, None)
    return last
