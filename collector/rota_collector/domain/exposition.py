"""Numbers as Prometheus reads them: text 0.0.4, and OpenMetrics 1.0. Pure.

A series is its name with its labels, ``rota_runs{state="failed"}``, as it stands in the text; its family is the name. What
every family means is written here, once: a series of an unknown family is an error of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
_PARTS = ("_bucket", "_sum", "_count")  # of a histogram
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


class Family(NamedTuple):
    """What the series of one name are."""

    kind: str
    help: str


FAMILIES = {
    # what comes in
    "rota_requests_total": Family(COUNTER, "Requests to the receivers, by signal, transport, and the status of the answer"),
    "rota_items_accepted_total": Family(COUNTER, "Spans, log records and metric points in requests that were kept"),
    "rota_items_rejected_total": Family(COUNTER, "Those of them that were refused one by one: spans without a valid id"),
    "rota_received_bytes_total": Family(COUNTER, "Bytes of the bodies that were kept, after decompression"),
    # the journal and the stores
    "rota_journal_sync_seconds": Family(HISTOGRAM, "How long each sync of the journal took"),
    "rota_journal_bytes_total": Family(COUNTER, "Bytes that were ever written to the journal: its durable end"),
    "rota_journal_disk_bytes": Family(GAUGE, "Bytes of the journal that are on disk"),
    "rota_journal_damaged_bytes": Family(GAUGE, "Bytes of the journal that failed their checksum and were skipped"),
    "rota_store_bytes": Family(GAUGE, "Size of a store's files"),
    "rota_store_lag_bytes": Family(GAUGE, "Bytes of the journal that a store does not have yet"),
    "rota_store_lag_seconds": Family(GAUGE, "How old what a store does not have yet may be; 0: it has all"),
    "rota_store_up": Family(GAUGE, "1 while a store follows the journal without trouble"),
    "rota_disk_free_bytes": Family(GAUGE, "Free space where the collector's home is"),
    # the clock and the alerts
    "rota_monitor_ticks_total": Family(COUNTER, "Looks of the monitor at what is due"),
    "rota_monitor_tick_seconds": Family(HISTOGRAM, "How long each of them took"),
    "rota_monitor_due": Family(GAUGE, "Instances that are due to be judged and were not yet"),
    "rota_alerts_waiting": Family(GAUGE, "Messages in the outbox"),
    "rota_alerts_settled_total": Family(COUNTER, "Attempts to send, by outcome: sent, failed (tried again), dead (given up)"),
    "rota_incidents_open": Family(GAUGE, "Open incidents"),
    # permission
    "rota_permission_answers_total": Family(COUNTER, "Answers to questions about permission: go, wait, skip, deny"),
    "rota_permission_turn_seconds": Family(HISTOGRAM, "How long each turn of the waiting room took: one transaction"),
    "rota_permission_waiting": Family(GAUGE, "Questions that wait for permission"),
    "rota_keys": Family(GAUGE, "Valid keys, by scope"),
    "rota_collector_info": Family(GAUGE, "Always 1; the version is a label"),
    "rota_log_lines_total": Family(COUNTER, "Lines that the collector said, by level"),
    "rota_log_suppressed_total": Family(COUNTER, "Lines that it did not say because it had just said the same"),
    # its processes
    "rota_process_resident_memory_bytes": Family(GAUGE, "Resident memory of a process of the collector"),
    "rota_process_cpu_seconds_total": Family(COUNTER, "User and system time that it used"),
    "rota_process_open_fds": Family(GAUGE, "Descriptors that it has open"),
    "rota_process_threads": Family(GAUGE, "Its threads"),
    "rota_process_start_time_seconds": Family(GAUGE, "When it started"),
    # the workflows
    "rota_workflows": Family(GAUGE, "Workflows that are known"),
    "rota_workflows_left_out": Family(GAUGE, "Workflows without series of their own: those beyond ROTA_METRICS_WORKFLOWS"),
    "rota_workflow_last_success_timestamp_seconds": Family(GAUGE, "When the last run that succeeded ended"),
    "rota_workflow_last_run_timestamp_seconds": Family(GAUGE, "When the last run started"),
    "rota_workflow_last_run_duration_seconds": Family(GAUGE, "How long it took, once it has ended"),
    "rota_workflow_last_run_state": Family(GAUGE, "1 for the state that it is in"),
    "rota_workflow_recent": Family(GAUGE, "The last 30 occurrences by state, or as late, missed, unknown, skipped"),
    "rota_workflow_next_slot_timestamp_seconds": Family(GAUGE, "When it should run next"),
    "rota_workflow_last_verdict": Family(GAUGE, "1 for the verdict of its last slot"),
    "rota_workflow_incidents_open": Family(GAUGE, "Its open incidents"),
    "rota_workflow_paused": Family(GAUGE, "1 while it is paused"),
}  # fmt: skip


def series(family: str, **labels: str) -> str:
    """A series as it stands in the text, its labels escaped."""
    if not labels:
        return family
    return f"{family}{{{','.join([label(*pair) for pair in labels.items()])}}}"


def label(name: str, value: str) -> str:
    """One label of a series. Who writes many series with the same one makes it once."""
    return f'{name}="{value.translate(_ESCAPES)}"'


def text(numbers: Mapping[str, float], *, openmetrics: bool) -> str:
    """The page of all ``numbers``, a family after the other. Raises KeyError for a series of no known family."""
    families: dict[str, list[str]] = {}
    lines: dict[str, list[str]] = {}  # a name → the lines of its family
    for each, number in numbers.items():
        name = each.partition("{")[0]
        if name not in lines:
            lines[name] = families.setdefault(_family(name), [])
        lines[name].append(f"{each} {number!r}\n")
    page = "".join(_pieces(families, openmetrics=openmetrics))
    return page + "# EOF\n" if openmetrics else page


def wants_openmetrics(accept: str) -> bool:
    """Whether an Accept header asks for OpenMetrics."""
    offers = [offer.replace(" ", "").lower() for offer in accept.split(",")]
    return any(offer.startswith("application/openmetrics-text") and not offer.endswith(";q=0") for offer in offers)


def _family(name: str) -> str:
    if name in FAMILIES:
        return name
    whole = next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)
    if FAMILIES[whole].kind != HISTOGRAM:
        raise KeyError(name)
    return whole


def _pieces(families: Mapping[str, Iterable[str]], *, openmetrics: bool) -> Iterator[str]:
    for name, about in FAMILIES.items():
        if name in families:
            shown = name.removesuffix("_total") if openmetrics else name  # there it is the sample that is called _total
            yield f"# HELP {shown} {about.help}\n# TYPE {shown} {about.kind}\n"
            yield from families[name]
