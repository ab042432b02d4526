"""What systemd writes into the journal about its services → what became of their runs. Pure, but for its memory."""

from __future__ import annotations

import json
import signal
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from rota_integrations.systemd.services import Service

STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED = "39f53479d3a045ac8e11786248231fbf"  # a start's job is done: of a oneshot it has finished, or a condition is not met
FAILED = "be02cf6855d2428ba40df7e9d022f03d"  # a job could not be done
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
SUCCESS = "7ad2d189f7e94e70a38c781354912448"
FAILURE = "d9b373ed55a64feb8242e02dbe79a49c"
SKIPPED = "0e4284a0caca4bfc81c0bb6786972673"  # by its ExecCondition
EXIT = "98e322203f7a4ed290d09fe03c09fe15"
RESTART = "5eb03494b6584870a536b337290809b3"
_IDS = (STARTING, STARTED, FAILED, STOPPING, STOPPED, SUCCESS, FAILURE, SKIPPED, EXIT, RESTART)
_FIELDS = (
    "MESSAGE_ID", "MESSAGE", "UNIT", "USER_UNIT", "INVOCATION_ID", "USER_INVOCATION_ID", "UNIT_RESULT", "EXIT_CODE",
    "EXIT_STATUS", "JOB_ID", "JOB_RESULT", "_BOOT_ID", "_HOSTNAME",
)  # fmt: skip
_KILLED = ("killed", "dumped")
_ASKED = ("SIGTERM", "SIGINT")

Entry = Mapping[str, Any]


class Said(NamedTuple):
    """The state of a run of a unit, in a word of systemd's. Times are Unix ns."""

    unit: str
    key: Tuple[str, ...]
    word: str
    at_ns: int
    attempt: int = 1
    started_ns: Optional[int] = None
    exit_code: Optional[int] = None
    signal: Optional[str] = None
    message: Optional[str] = None
    host: Optional[str] = None
    is_over: bool = True


def arguments(cursor: Optional[str], since: str, is_user: bool, user_id: int) -> List[str]:
    """Of ``journalctl``: all that the manager itself said since then. Its own fields (with ``_``) cannot be forged."""
    begin = ["--after-cursor=" + cursor] if cursor else ["--since=" + since]
    said_by = ["_UID=%d" % user_id, "_COMM=systemd"] if is_user else ["_PID=1"]
    shown = ["--output=json", "--output-fields=" + ",".join(_FIELDS), "--no-pager", "--quiet"]
    return [*begin, *shown, *said_by, *("MESSAGE_ID=" + each for each in _IDS)]


class Journal:
    """Reads entries in their order.

    Args:
        memory: JSON, kept from look to look: the place in the journal, and the runs by their units.
        services: those that are looked at, as the manager knew them before the journal was read.
        is_user: whether it is a user's manager, whose fields have other names.
    """

    def __init__(self, memory: Dict[str, Any], services: Mapping[str, Service], is_user: bool = False) -> None:
        self._memory, self._services, self._is_user = memory, services, is_user
        self._runs: Dict[str, Dict[str, Any]] = memory.setdefault("runs", {})

    def told(self, lines: str) -> Iterator[Said]:
        """What the entries tell. Raises ValueError for what is no JSON."""
        prefix = "USER_" if self._is_user else ""
        for line in lines.splitlines():
            entry = json.loads(line)
            yield from self._of_boot(entry)
            unit = entry.get(prefix + "UNIT")
            if unit in self._services:
                yield from self._of_entry(unit, entry.get(prefix + "INVOCATION_ID"), entry)
            self._memory["cursor"] = entry["__CURSOR"]

    def silent(self, unix_ns: Callable[[int], int]) -> Iterator[Said]:
        """Ends of which the journal says nothing; ``unix_ns``: what a moment of the monotonic clock was."""
        for unit, run in self._runs.items():
            service = self._services.get(unit)
            if service and service.is_over and service.invocation == run["invocation"] and not run["is_over"]:
                run["exit"] = [*service.exit, None] if service.exit else run["exit"]
                yield self._end(unit, run, _word(run, service.result), unix_ns(service.ended_ns))

    def _of_boot(self, entry: Entry) -> Iterator[Said]:
        """Whatever was open when the host went down without a word is over once it is up again."""
        before, boot = self._memory.get("boot"), entry.get("_BOOT_ID")
        self._memory["boot"] = boot
        if before not in (None, boot):
            for unit, run in self._runs.items():
                run["restarts"] = False
                if not run["is_over"]:
                    yield self._end(unit, run, "vanished", _at_ns(entry))

    def _of_entry(self, unit: str, invocation: Optional[str], entry: Entry) -> Iterator[Said]:
        kind, job, at_ns = entry.get("MESSAGE_ID"), entry.get("JOB_ID"), _at_ns(entry)
        run = self._runs.get(unit)
        if kind == FAILED:
            if entry.get("JOB_RESULT") != "failed" and not _is_of_job(run, job):  # else the unit itself has said so
                yield self._never_begun(unit, str(entry.get("JOB_RESULT")), entry)
        elif kind == STARTED and (not invocation or (run and run["invocation"] == invocation and not _is_of_job(run, job))):
            yield self._never_begun(unit, "condition", entry)  # its invocation is the one before, if there was one
        elif invocation:
            if run is None or run["invocation"] != invocation:
                if run and not run["is_over"]:
                    yield self._end(unit, run, self._unsaid(run), at_ns)
                run = self._begin(unit, invocation, entry)
                if kind == STARTING or (kind == STARTED and not self._services[unit].is_oneshot):
                    run["started_ns"] = at_ns
                    yield self._said(unit, run, "activating", at_ns)
            yield from self._of_run(unit, run, str(kind), entry)

    def _begin(self, unit: str, invocation: str, entry: Entry) -> Dict[str, Any]:
        """A new run, or another attempt of the one before, if systemd has said that it restarts it."""
        before = self._runs.get(unit)
        again = before if before is not None and before["restarts"] else None
        run = {
            "invocation": invocation, "key": again["key"] if again else invocation, "job": entry.get("JOB_ID"),
            "attempt": again["attempt"] + 1 if again else 1, "started_ns": None, "is_over": False, "restarts": False,
            "stops": False, "exit": None, "host": entry.get("_HOSTNAME"),
        }  # fmt: skip
        self._runs[unit] = run
        return run

    def _of_run(self, unit: str, run: Dict[str, Any], kind: str, entry: Entry) -> Iterator[Said]:
        run["restarts"] |= kind == RESTART
        if run["is_over"]:
            return
        at_ns = _at_ns(entry)
        if kind == STOPPING:
            run["stops"] = True
            yield self._said(unit, run, "stopping", at_ns)
        elif kind == EXIT:
            run["exit"] = [entry.get("EXIT_CODE"), int(entry["EXIT_STATUS"]), entry.get("MESSAGE")]
        elif kind in (FAILURE, SKIPPED):
            yield self._end(unit, run, _word(run, str(entry.get("UNIT_RESULT"))), at_ns)
        elif kind == SUCCESS or (kind == STARTED and self._services[unit].is_oneshot):
            yield self._end(unit, run, _word(run, "success"), at_ns)
        elif kind in (STOPPED, RESTART):
            yield self._end(unit, run, self._unsaid(run), at_ns)

    def _unsaid(self, run: Mapping[str, Any]) -> str:
        """How it ended of which only what came after it tells: a user's manager is silent about what ends well."""
        return _word(run, "success") if run["stops"] or self._is_user else "unseen"

    def _never_begun(self, unit: str, word: str, entry: Entry) -> Said:
        key = (str(entry.get("_BOOT_ID")), unit, str(entry.get("JOB_ID")))
        return Said(unit, key, word, _at_ns(entry), message=entry.get("MESSAGE"), host=entry.get("_HOSTNAME"))

    def _end(self, unit: str, run: Dict[str, Any], word: str, at_ns: int) -> Said:
        run["is_over"] = True
        return self._said(unit, run, word, at_ns, is_over=True)

    @staticmethod
    def _said(unit: str, run: Mapping[str, Any], word: str, at_ns: int, is_over: bool = False) -> Said:
        code, number, message = run["exit"] or (None, None, None)
        return Said(
            unit, (run["key"],), word, at_ns, run["attempt"], run["started_ns"],
            exit_code=number if code == "exited" else None, signal=_signal(run), message=message,
            host=run.get("host"), is_over=is_over,
        )  # fmt: skip


def _word(run: Mapping[str, Any], result: str) -> str:
    """systemd's result; what was asked to end and did is no failure."""
    if run["stops"] and result in ("signal", "success"):
        return "stopped"
    return "terminated" if result == "signal" and _signal(run) in _ASKED else result


def _is_of_job(run: Optional[Mapping[str, Any]], job: Optional[str]) -> bool:
    """Whether a job is the one that began the run, as far as is known."""
    return run is not None and (job is None or run.get("job") in (None, job))


def _signal(run: Mapping[str, Any]) -> Optional[str]:
    """The name of the signal that ended its process."""
    code, number, _ = run["exit"] or (None, 0, None)
    if code not in _KILLED:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %s" % number


def _at_ns(entry: Entry) -> int:
    return int(entry["__REALTIME_TIMESTAMP"]) * 1000
