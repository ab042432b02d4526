"""What systemd writes into the journal about its services → what became of their runs. Pure, but for its memory."""

from __future__ import annotations

import json
import signal
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED = "39f53479d3a045ac8e11786248231fbf"  # of a oneshot: it has finished
FAILED = "be02cf6855d2428ba40df7e9d022f03d"  # a job could not be done
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
SUCCESS = "7ad2d189f7e94e70a38c781354912448"
FAILURE = "d9b373ed55a64feb8242e02dbe79a49c"
SKIPPED = "0e4284a0caca4bfc81c0bb6786972673"  # by its ExecCondition
EXIT = "98e322203f7a4ed290d09fe03c09fe15"
RESTART = "5eb03494b6584870a536b337290809b3"
_IDS = (STARTING, STARTED, FAILED, STOPPING, SUCCESS, FAILURE, SKIPPED, EXIT, RESTART)
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
        units: the services that are looked at.
        is_user: whether it is a user's manager, whose fields have other names.
    """

    def __init__(self, memory: Dict[str, Any], units: Mapping[str, Any], is_user: bool = False) -> None:
        self._memory, self._units, self._prefix = memory, units, "USER_" if is_user else ""
        self._runs: Dict[str, Dict[str, Any]] = memory.setdefault("runs", {})

    def told(self, lines: str) -> Iterator[Said]:
        """What the entries tell. Raises ValueError for what is no JSON."""
        for line in lines.splitlines():
            entry = json.loads(line)
            yield from self._of_boot(entry)
            unit = entry.get(self._prefix + "UNIT")
            if unit in self._units:
                yield from self._of_entry(unit, entry)
            self._memory["cursor"] = entry["__CURSOR"]

    def _of_boot(self, entry: Entry) -> Iterator[Said]:
        """Whatever was open when the host went down without a word is over once it is up again."""
        before, boot = self._memory.get("boot"), entry.get("_BOOT_ID")
        self._memory["boot"] = boot
        if before not in (None, boot):
            for unit, run in self._runs.items():
                if not run["is_over"]:
                    yield self._end(unit, run, "vanished", entry)

    def _of_entry(self, unit: str, entry: Entry) -> Iterator[Said]:
        kind, invocation = entry.get("MESSAGE_ID"), entry.get(self._prefix + "INVOCATION_ID")
        if kind == FAILED:
            if entry.get("JOB_RESULT") == "dependency":  # it never began
                key = (str(entry.get("_BOOT_ID")), unit, str(entry.get("JOB_ID")))
                yield Said(unit, key, "dependency", _at_ns(entry), message=entry.get("MESSAGE"), host=entry.get("_HOSTNAME"))
            return
        run = self._runs.get(unit)
        if invocation and (run is None or run["invocation"] != invocation):
            run = self._begin(unit, invocation)
            if kind in (STARTING, STARTED):
                run["started_ns"] = _at_ns(entry)
                yield self._said(unit, run, "activating", entry)
        if run is not None and (not run["is_over"] or kind == RESTART):
            yield from self._of_run(unit, run, str(kind), entry)

    def _begin(self, unit: str, invocation: str) -> Dict[str, Any]:
        """A new run, or another attempt of the one before, if systemd has said that it restarts it."""
        before = self._runs.get(unit)
        again = before if before is not None and before["restarts"] else None
        run = {
            "invocation": invocation, "key": again["key"] if again else invocation,
            "attempt": again["attempt"] + 1 if again else 1, "started_ns": None, "is_over": False, "restarts": False,
            "stops": False, "exit": None,
        }  # fmt: skip
        self._runs[unit] = run
        return run

    def _of_run(self, unit: str, run: Dict[str, Any], kind: str, entry: Entry) -> Iterator[Said]:
        if kind == RESTART:
            run["restarts"] = True
        elif kind == STOPPING:
            run["stops"] = True
            yield self._said(unit, run, "stopping", entry)
        elif kind == EXIT:
            run["exit"] = [entry.get("EXIT_CODE"), int(entry["EXIT_STATUS"]), entry.get("MESSAGE")]
        elif kind == SUCCESS:
            yield self._end(unit, run, "stopped" if run["stops"] else "success", entry)
        elif kind in (FAILURE, SKIPPED):
            yield self._end(unit, run, self._word(run, entry), entry)

    @staticmethod
    def _word(run: Mapping[str, Any], entry: Entry) -> str:
        """systemd's result; what was asked to end and did is no failure."""
        result = str(entry.get("UNIT_RESULT"))
        if result == "signal" and run["stops"]:
            return "stopped"
        return "terminated" if result == "signal" and _signal(run) in _ASKED else result

    def _end(self, unit: str, run: Dict[str, Any], word: str, entry: Entry) -> Said:
        run["is_over"] = True
        return self._said(unit, run, word, entry, is_over=True)

    @staticmethod
    def _said(unit: str, run: Mapping[str, Any], word: str, entry: Entry, is_over: bool = False) -> Said:
        code, number, message = run["exit"] or (None, None, None)
        return Said(
            unit, (run["key"],), word, _at_ns(entry), run["attempt"], run["started_ns"],
            exit_code=number if code == "exited" else None, signal=_signal(run), message=message,
            host=entry.get("_HOSTNAME"), is_over=is_over,
        )  # fmt: skip


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
