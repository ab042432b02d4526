"""What dbt leaves in a project, read again and again: its log, where that is JSON, and ``run_results.json``.

A log that dbt has put aside (``dbt.log.1``) is read to its end first. A run whose log stops without an end, and whose process
is gone, is over: ``crashed`` where that was seen before, else ``ended``. What its log says later is believed.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Iterator, Optional

from rota.foreign import Source
from rota_integrations.dbt.telling import EVENTS, Invoked, Teller, command_of

_MOST_ASIDE = 5  # logs that dbt keeps
_NAME = re.compile(r"^name:\s*['\"]?([\w.-]+)", re.MULTILINE)
_WANTED = re.compile(('"name": ?"(?:%s)"' % "|".join(EVENTS)).encode())


def project_name(folder: str) -> str:
    """What ``dbt_project.yml`` calls it; the folder's name where it does not."""
    try:
        with open(os.path.join(folder, "dbt_project.yml"), encoding="utf-8") as file:
            found = _NAME.search(file.read())
    except (OSError, ValueError):
        found = None
    return found[1] if found else os.path.basename(os.path.abspath(folder))


class Reading:
    """Looks at projects.

    Args:
        folders: theirs.
        workflow: name of their runs; None for the project's and the command's.
        log_path: where dbt logs, from the project.
        target_path: where it leaves what it made, from the project.
    """

    def __init__(self, folders: list[str], workflow: Optional[str], log_path: str, target_path: str) -> None:
        source = Source("dbt")
        self._projects = [_Project(source, os.path.abspath(each), workflow, log_path, target_path) for each in folders]

    def look(self, memory: dict[str, Any]) -> None:
        """Tell what is new. Raises OSError: something is there that cannot be read."""
        for project in self._projects:
            project.look(memory.setdefault(project.folder, {"runs": {}, "failed": {}, "log": [0, 0], "results": 0, "told": []}))


class _Project:
    def __init__(self, source: Source, folder: str, workflow: Optional[str], log_path: str, target_path: str) -> None:
        self.folder, self._workflow = folder, workflow
        self._log = os.path.join(folder, log_path, "dbt.log")
        self._results = os.path.join(folder, target_path, "run_results.json")
        self._teller = Teller(source, self._invoked)

    def _invoked(self, line: str) -> Invoked:
        command = command_of(line)
        name = self._workflow or ".".join(filter(None, (project_name(self.folder), command)))
        return Invoked(name, self.folder, command == "retry" and "--state" not in line)

    def look(self, memory: dict[str, Any]) -> None:
        self._read_log(memory)
        gone = [identity for identity, run in memory["runs"].items() if not _is_there(run)]
        if gone:
            self._read_log(memory)  # the end that it may have written before it went
        for identity in gone:
            run = memory["runs"].pop(identity, None)
            if run is not None and "workflow" in run:
                self._teller.end(run, "vanished" if "seen" in run else "gone")
        self._read_results(memory)

    # -- the log -------------------------------------------------------------------------------------------------------

    def _read_log(self, memory: dict[str, Any]) -> None:
        for event in self._events(memory):
            self._teller.take(event, memory["runs"], memory["failed"])
            identity = event["info"]["invocation_id"]
            if identity not in memory["told"]:
                memory["told"] = [*memory["told"][-99:], identity]

    def _events(self, memory: dict[str, Any]) -> Iterator[dict[str, Any]]:
        inode, offset = memory["log"]
        paths = [*("%s.%d" % (self._log, number) for number in range(_MOST_ASIDE, 0, -1)), self._log]
        logs = [(path, os.stat(path)) for path in paths if os.path.exists(path)]
        known = [number for number, (_, stat) in enumerate(logs) if stat.st_ino == inode and stat.st_size >= offset]
        for path, stat in logs[known[0] if known else 0 :]:
            start = offset if stat.st_ino == inode and known else 0
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_ino != stat.st_ino:
                    return  # put aside just now
                memory["log"] = [stat.st_ino, start]
                file.seek(start)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # the rest comes
                    memory["log"][1] += len(line)
                    if _WANTED.search(line):
                        yield from _parsed(line)

    # -- the results ---------------------------------------------------------------------------------------------------

    def _read_results(self, memory: dict[str, Any]) -> None:
        """Where the log is not JSON, they tell the last invocation, when it is over."""
        try:
            changed_ns = os.stat(self._results).st_mtime_ns
            if changed_ns == memory["results"]:
                return
            with open(self._results, encoding="utf-8") as file:
                results = json.load(file)
        except FileNotFoundError:
            return
        except ValueError:
            return  # dbt is writing it
        memory["results"] = changed_ns
        if results.get("metadata", {}).get("invocation_id") not in (None, *memory["told"]):
            runs: dict[str, Any] = {}
            for event in _as_events(results):
                self._teller.take(event, runs, {})


def _parsed(line: bytes) -> Iterator[dict[str, Any]]:
    try:
        event = json.loads(line)
        if event["info"]["name"] in EVENTS:
            yield event
    except (ValueError, LookupError, TypeError):
        pass  # a line of text that looks alike


def _is_there(run: dict[str, Any]) -> bool:
    """Whether its process is; notes that it was."""
    try:
        with open("/proc/%d/stat" % run["pid"], encoding="utf-8", errors="replace") as file:
            since = file.read().rpartition(")")[2].split()[19]
    except (OSError, TypeError, LookupError):
        return not os.path.isdir("/proc/self")  # where nobody can tell, it is
    return bool(run.setdefault("seen", since) == since)


def _as_events(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What dbt would have logged of it."""
    metadata, args = results["metadata"], results.get("args") or {}
    ended = metadata["generated_at"]
    times = [timing["started_at"] for each in results["results"] for timing in each["timing"] if timing.get("started_at")]
    began = metadata.get("invocation_started_at") or min(times, default=ended)

    def event(name: str, at: str, **data: Any) -> dict[str, Any]:
        return {"info": {"name": name, "ts": at, "invocation_id": metadata["invocation_id"]}, "data": data}

    yield event("MainReportVersion", began, version=metadata.get("dbt_version", ""))
    yield event("MainReportArgs", began, args={"invocation_command": "dbt " + str(args.get("which", ""))})
    for each in results["results"]:
        done = [timing["completed_at"] for timing in each["timing"] if timing.get("completed_at")]
        node = {
            "unique_id": each["unique_id"], "node_name": each["unique_id"].split(".")[2],
            "node_started_at": min((timing["started_at"] for timing in each["timing"] if timing.get("started_at")), default=""),
            "node_finished_at": max(done, default=""), "node_relation": {"relation_name": each.get("relation_name")},
        }  # fmt: skip
        yield event("NodeFinished", ended, node_info=node, run_result=each)
    bad = ("error", "fail", "runtime error", "partial success")
    yield event("CommandCompleted", ended, success=all(each["status"] not in bad for each in results["results"]))
