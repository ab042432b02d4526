"""dbt: each invocation is a run, its models, tests, seeds and snapshots are its tasks; rows and relations are their data.

From outside, without a change and without rota in dbt's environment, by what dbt leaves: its log as JSON
(``DBT_LOG_FORMAT_FILE=json``), or ``run_results.json`` alone:

    rota observe dbt --project /srv/shop

From inside, where Python calls dbt:

    dbtRunner(callbacks=[rota_integrations.dbt.Observer()]).invoke(["build"])

Both say the same of the same run: its id is dbt's invocation id. Tested with dbt-core 1.8 and 1.11.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from typing import Any, Optional

import rota
from rota.errors import UsageError
from rota.foreign import Source, harmless
from rota_integrations.dbt.reading import Reading, project_name
from rota_integrations.dbt.telling import EVENTS, Invoked, Teller
from rota_integrations.needs import needed

__all__ = ["Observer", "add_arguments", "follower"]

_OF_NODES = ("unique_id", "node_name", "node_started_at", "node_finished_at")


class Observer:
    """A callback of ``dbtRunner``: tells its invocations. Nothing that it does raises, prints or waits in there.

    Args:
        workflow: their name; left out, the project's and the command's: ``shop.build``.

    Raises:
        ImportError: there is no dbt, or one older than 1.8.
    """

    def __init__(self, workflow: Optional[str] = None) -> None:
        needed("dbt", "dbt", "1.8", "dbt-core")
        self._workflow = workflow
        self._source = Source("dbt", ends_with_process=True)
        self._teller = Teller(self._source, self._invoked, parent=_around)
        self._runs: dict[str, Any] = {}
        self._failed: dict[str, Any] = {}
        self._alone = threading.Lock()  # dbt's threads call

    def __call__(self, event: Any) -> None:
        """An event of dbt's, of which most say nothing: some thirty a node."""
        if getattr(getattr(event, "info", None), "name", None) in EVENTS:
            self._take(event)

    @harmless
    def _take(self, event: Any) -> None:
        said = _said(event)
        with self._alone:
            self._teller.take(said, self._runs, self._failed)
        if event.info.name == "CommandCompleted":
            self._source.flush()

    def _invoked(self, _: str) -> Invoked:
        """``sys.argv``, which dbt logs as its command, is not what its caller in Python asked for: dbt's flags are."""
        from dbt.flags import get_flags

        flags: Any = get_flags()
        project, command = str(flags.PROJECT_DIR), str(flags.WHICH)
        name = self._workflow or "%s.%s" % (project_name(project), command)
        return Invoked(name, project, command == "retry" and not getattr(flags, "STATE", None))


def _said(event: Any) -> dict[str, Any]:
    """As dbt's JSON log has it. Of nodes only what is told of them: to make a dict of it all costs more than the telling."""
    info, data = event.info, event.data
    said: dict[str, Any] = {}
    if info.name not in ("NodeStart", "NodeFinished", "EndRunResult"):
        from google.protobuf.json_format import MessageToDict

        return dict(MessageToDict(event, preserving_proto_field_name=True))
    if info.name != "EndRunResult":
        node = data.node_info
        said["node_info"] = {name: getattr(node, name) for name in _OF_NODES}
        said["node_info"]["node_relation"] = {"relation_name": node.node_relation.relation_name}
    if info.name == "NodeFinished":
        result = data.run_result
        said["run_result"] = {
            "status": result.status, "message": result.message, "adapter_response": dict(result.adapter_response.items()),
        }  # fmt: skip
    return {"info": {"name": info.name, "invocation_id": info.invocation_id, "at_ns": info.ts.ToNanoseconds()}, "data": said}


def _around() -> tuple[str, ...]:
    """The run of ours that dbt is called in."""
    if "rota._run" not in sys.modules:  # nobody has begun one
        return ()
    run_id = getattr(rota.current(), "run_id", None)
    return (str(run_id),) if run_id else ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where dbt leaves what."""
    parser.add_argument("--project", metavar="DIR", action="append", help="of dbt_project.yml (here); may be given again")
    parser.add_argument("--workflow", metavar="NAME", help="of its runs (the project's and the command's: shop.build)")
    parser.add_argument("--log-path", metavar="DIR", default="logs", help="as dbt's (logs, in the project)")
    parser.add_argument("--target-path", metavar="DIR", default="target", help="as dbt's (target, in the project)")


def follower(options: argparse.Namespace) -> Reading:
    """What looks at projects, for ``rota observe dbt``. Raises UsageError: there is no such folder."""
    folders = options.project or ["."]
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError("--project %s: there is no such folder. Name the one of dbt_project.yml" % folder)
    return Reading(folders, options.workflow, options.log_path, options.target_path)
