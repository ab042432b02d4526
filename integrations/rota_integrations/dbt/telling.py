"""dbt's events of an invocation → states of a run and its tasks. They come to callbacks, and as JSON into dbt's log.

What is known of runs that are not over is a dict of JSON, which whoever reads the log keeps between two looks.
"""

from __future__ import annotations

import os
import re
import textwrap
from datetime import datetime, timezone
from typing import Any, Callable, Mapping, NamedTuple, Sequence

from rota.foreign import Source
from rota.wire import names
from rota_integrations.states import table_of

_COMMANDS = (
    "build", "run", "test", "seed", "snapshot", "compile", "docs", "source", "list", "ls", "deps", "debug", "parse", "clean",
    "clone", "retry", "run-operation", "show", "init",
)  # fmt: skip
_ERROR = re.compile(r"(\w[\w ]* Error)(?: in [^\n]*)?\n(.*)", re.DOTALL)
_UTC = timezone.utc
_BAD = ("failed", "crashed")
_TESTED = {"pass": "pass", "warn": "pass", "fail": "fail"}  # of tests, and of checks of freshness


def command_of(line: str) -> str:
    """dbt's command in a command line of its: ``build``. Empty: there is none, as Python called dbt."""
    return next((word for word in line.split() if word in _COMMANDS), "")


def ns_of(text: str) -> int:
    """Unix time in ns of dbt's times, which are UTC, with ``Z`` or without."""
    whole, _, fraction = text.rstrip("Z").partition("+")[0].partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=_UTC).timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, "0")[:9])


class Invoked(NamedTuple):
    """What was asked of dbt: the workflow that this is, the project's folder, and whether it retries what failed there last."""

    workflow: str
    project: str
    retries: bool


class Teller:
    """Tells what events say. ``dbt retry`` is a further attempt of the invocation whose results it takes up.

    Args:
        source: by whom.
        invoked: what an invocation is, by its command line.
        parent: key of the run that the invocation is part of.
    """

    def __init__(
        self, source: Source, invoked: Callable[[str], Invoked], parent: Callable[[], Sequence[str]] = tuple
    ) -> None:  # fmt: skip
        self._source, self._invoked, self._parent = source, invoked, parent
        self._states = table_of("dbt")

    def take(self, event: Mapping[str, Any], runs: dict[str, Any], failed: dict[str, Any]) -> None:
        """One event, as dbt's JSON log has it: ``{"info": {...}, "data": {...}}``. Others than ``EVENTS`` say nothing. In
        the place of ``ts``, a text, there may be ``at_ns``.

        Args:
            event: it.
            runs: what is known of the runs that are not over, by invocation; changed.
            failed: of projects whose last results are of an invocation that failed: which; changed.
        """
        info, data = event["info"], event.get("data") or {}
        name, identity = info["name"], info["invocation_id"]
        if name not in EVENTS:
            return
        at_ns = info["at_ns"] if "at_ns" in info else ns_of(info["ts"])
        run = runs.setdefault(identity, {"id": identity, "attempt": 1, "began_ns": at_ns, "pid": info.get("pid"), "nodes": {}})
        run["last_ns"] = at_ns
        if name == "MainReportVersion":
            run["version"] = str(data.get("version", "")).lstrip("=")
            return
        if "workflow" not in run:
            self._begin(run, self._invoked(str((data.get("args") or {}).get("invocation_command", ""))), failed)
        EVENTS[name](self, run, data, at_ns)
        if name == "CommandCompleted":
            del runs[identity]
            if "results" in run:
                failed.pop(run["project"], None)
            if "results" in run and not data.get("success"):
                failed[run["project"]] = {name: run[name] for name in ("id", "attempt", "workflow")}

    # -- the run -------------------------------------------------------------------------------------------------------

    def _begin(self, run: dict[str, Any], invoked: Invoked, failed: dict[str, Any]) -> None:
        run.update(workflow=invoked.workflow, project=invoked.project)
        if invoked.retries and invoked.project in failed:
            first = failed[invoked.project]
            run.update(first, attempt=first["attempt"] + 1)
        self._tell_run(run, "running")

    def end(self, run: dict[str, Any], word: str) -> None:
        """A run is over, and with it what it had begun: as ``word`` of the table says."""
        for begun in list(run["nodes"].values()):
            self._unfinished(run, begun, word)
        self._tell_run(run, word)

    def _tell_run(self, run: dict[str, Any], word: str) -> None:
        state, is_over = self._states.of_run(word), word != "running"
        error = _error(run["error"], "error") if "error" in run and state.name in _BAD else None
        self._source.run(
            run["workflow"], (run["id"],), state.name, run["last_ns"] if is_over else run["began_ns"], raw_state=word,
            reason=state.reason, attempt=run["attempt"], started_ns=run["began_ns"], host=os.uname().nodename,
            parent=self._parent(), error=error, facts={names.ENGINE_NAME: "dbt", names.ENGINE_VERSION: run.get("version")},
        )  # fmt: skip

    def _completed(self, run: dict[str, Any], data: Mapping[str, Any], _: int) -> None:
        if run.get("is_interrupted"):
            self.end(run, "interrupted")
        elif not data.get("success"):
            self.end(run, "failed")
        else:
            self.end(run, "nothing to do" if run.get("is_idle") else "succeeded")

    def _idle(self, run: dict[str, Any], _: Mapping[str, Any], __: int) -> None:
        run["is_idle"] = True

    def _wrote(self, run: dict[str, Any], data: Mapping[str, Any], _: int) -> None:
        """By two events, of which dbt 1.8 has the first only, and the first is not there when somebody interrupts."""
        if data.get("artifact_type", "RunExecutionResult") == "RunExecutionResult":
            run["results"] = True

    def _broken(self, run: dict[str, Any], data: Mapping[str, Any], _: int) -> None:
        run["error"] = str(data.get("exc", ""))

    def _summed_up(self, run: dict[str, Any], data: Mapping[str, Any], _: int) -> None:
        """By two events of dbt's: its summary of nodes, and the stack of what went through it."""
        if data.get("keyboard_interrupt") or str(data.get("stack_trace", "")).rstrip().endswith("KeyboardInterrupt"):
            run["is_interrupted"] = True

    # -- its nodes -----------------------------------------------------------------------------------------------------
    # A model that is built in batches begins and ends as a node for itself, and once for each batch, under the same id at
    # other times.

    def _begun(self, run: dict[str, Any], data: Mapping[str, Any], at_ns: int) -> None:
        node = data["node_info"]
        began_ns = ns_of(node.get("node_started_at") or "") if node.get("node_started_at") else at_ns
        run["nodes"][_key(node)] = {"name": node["node_name"], "id": node["unique_id"], "began_ns": began_ns}
        state = self._states.of_task("started")
        self._source.task(
            run["workflow"], (run["id"],), node["node_name"], state.name, began_ns, instance=node["unique_id"],
            raw_state="started", attempt=run["attempt"], run_attempt=run["attempt"], started_ns=began_ns,
            facts=_facts(node, {}, ""),
        )  # fmt: skip

    def _batch(self, run: dict[str, Any], data: Mapping[str, Any], _: int) -> None:
        begun = run["nodes"].get(_key(data["node_info"]))
        if begun is not None:
            begun["batch"] = "%s of %s" % (data.get("batch_index", "?"), data.get("total_batches", "?"))

    def _raised(self, run: dict[str, Any], data: Mapping[str, Any], _: int) -> None:
        begun = run["nodes"].get(_key(data.get("node_info") or {}))
        if begun is not None:
            begun["error"] = str(data.get("exc", ""))

    def _finished(self, run: dict[str, Any], data: Mapping[str, Any], at_ns: int) -> None:
        node, result = data["node_info"], data.get("run_result") or {}
        begun = run["nodes"].pop(_key(node), {})
        ended_ns = ns_of(node["node_finished_at"]) if node.get("node_finished_at") else at_ns
        word, message = str(result.get("status") or node.get("node_status", "")), str(result.get("message") or "")
        if word == "skipped" and "fail_fast" in message:
            word = "skipped by fail_fast"
        if "error" in begun and message in ("", "ERROR"):
            message = begun["error"]
        self._tell_node(run, node, begun, word, message, ended_ns, result.get("adapter_response") or {})

    def _unfinished(self, run: dict[str, Any], begun: dict[str, Any], word: str) -> None:
        """A node that nobody told the end of."""
        node = {"node_name": begun["name"], "unique_id": begun["id"]}
        word = "error" if "error" in begun else word if word in ("interrupted", "vanished") else "gone"
        self._tell_node(run, node, begun, word, begun.get("error", ""), run["last_ns"], {})

    def _tell_node(
        self, run: dict[str, Any], node: Mapping[str, Any], begun: Mapping[str, Any], word: str, message: str, ended_ns: int,
        response: Mapping[str, Any],
    ) -> None:  # fmt: skip
        state, batch = self._states.of_task(word, is_over=True), begun.get("batch", "")
        began_ns = begun.get("began_ns") or (ns_of(node["node_started_at"]) if node.get("node_started_at") else ended_ns)
        self._source.task(
            run["workflow"], (run["id"],), node["node_name"], state.name, ended_ns,
            instance=" ".join(filter(None, (node["unique_id"], batch))), raw_state=word, reason=state.reason,
            attempt=run["attempt"], run_attempt=run["attempt"], started_ns=began_ns,
            error=_error(message, word) if state.name in _BAD else None,
            facts={**_facts(node, response if state.name == "succeeded" else {}, batch), names.TEST_STATUS: _TESTED.get(word)},
        )  # fmt: skip


EVENTS: dict[str, Callable[[Teller, dict[str, Any], Mapping[str, Any], int], None]] = {
    "MainReportVersion": lambda *_: None,
    "MainReportArgs": lambda *_: None,
    "NothingToDo": Teller._idle,
    "EndRunResult": Teller._wrote,
    "ArtifactWritten": Teller._wrote,
    "MainEncounteredError": Teller._broken,
    "MainStackTrace": Teller._summed_up,
    "EndOfRunSummary": Teller._summed_up,
    "CommandCompleted": Teller._completed,
    "NodeStart": Teller._begun,
    "LogHookStartLine": Teller._begun,
    "LogStartBatch": Teller._batch,
    "LogBatchResult": Teller._batch,
    "GenericExceptionOnRun": Teller._raised,
    "NodeFinished": Teller._finished,
    "LogHookEndLine": Teller._finished,
}


def _key(node: Mapping[str, Any]) -> str:
    return "%s %s" % (node.get("unique_id", ""), node.get("node_started_at", ""))


def _facts(node: Mapping[str, Any], response: Mapping[str, Any], batch: str) -> dict[str, Any]:
    """What a node left: its relation, and the rows that its adapter counted. A node that failed left nothing that is known."""
    relation = str((node.get("node_relation") or {}).get("relation_name") or "")
    rows = response.get("rows_affected")
    counted = int(rows) if isinstance(rows, (int, float)) and rows >= 0 else None
    facts = {
        "dbt.unique_id": node["unique_id"], "dbt.resource_type": node["unique_id"].partition(".")[0], "dbt.batch": batch or None,
        names.ROWS_AFFECTED: counted,
    }  # fmt: skip
    if response and relation:
        facts.update({names.DATASET_NAME: relation, names.DATASET_ACCESS: "write", names.DATASET_ROWS: counted})
    return facts


def _error(message: str, word: str) -> dict[str, str]:
    """dbt puts its kind of error, and where, before what the database said."""
    found = _ERROR.match(message.strip())
    kind, said = (found[1], textwrap.dedent(found[2]).strip()) if found else (word, message.strip())
    return {names.ERROR_TYPE: kind, names.EXCEPTION_TYPE: kind, names.EXCEPTION_MESSAGE: said}
