"""A call into a library: a span of kind CLIENT under the task or run that makes it.

Of each kind of call in a task the first ``IN_FULL`` have a span of their own; later ones share a span, up to ``TOGETHER`` of
them, with their number and their time: a loop over a million statements needs no memory and loses no count.
What a library does inside a call (requests over urllib3, pandas over sqlite3) is part of that call, and not shown again.
"""

from __future__ import annotations

import sys
from _collections import deque  # type: ignore[import-not-found]
from _contextvars import ContextVar
from time import monotonic_ns

from rota._guard import note
from rota._run import CALLS
from rota.instrument import _close
from rota.wire import events, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from itertools import count
    from typing import Any, Callable, Iterable, Optional, Tuple, TypeVar

    C = TypeVar("C", bound="Call")
    Counted = Tuple[int, int, bool, Optional[dict[str, object]], int]  # start, end, failed?, facts, rows

    from rota._run import Run
    from rota._task import Task

IN_FULL = 100
TOGETHER = 1000
TOGETHER_NS, TOGETHER_EAGER_NS = 10_000_000_000, 1_000_000_000  # what waits that long is written, however few
MOST_LABELS = 200  # kinds of calls told apart in one task
MOST_OPEN = 1000  # answers that nobody lets go of; then the oldest is told as it is
REMEMBERED = 500  # labels kept for the next call of their kind

SUMMED = frozenset((
    names.ROWS_AFFECTED, names.HTTP_REQUEST_BYTES, names.HTTP_RESPONSE_BYTES, names.MAIL_RECIPIENTS, names.MAIL_REFUSED,
    names.MAIL_BYTES, names.DATASET_ROWS, names.DATASET_BYTES,
))  # fmt: skip

INSIDE: ContextVar[Call | None] = ContextVar("rota.inside", default=None)
OPEN: dict[OpenCall, None] = {}  # those that the end of their run has to finish, the oldest first


class Label:
    """A kind of call, rendered once: library, span name, and the attributes that all its calls have."""

    __slots__ = ("attributes", "library", "middle")

    def __init__(self, library: str, name: str, pairs: dict[str, object], kind: int = events.KIND_CLIENT) -> None:
        self.library = library
        self.attributes = events.attributes(pairs)
        self.middle = '","name":%s,"kind":%d,"startTimeUnixNano":"' % (events.text(name), kind)


class Labels(dict):  # type: ignore[type-arg]
    """Labels by what tells them apart; made on the first look, forgotten when they are too many."""

    def __init__(self, make: Callable[[Any], Label]) -> None:
        self._make = make

    def __missing__(self, key: object) -> Label:
        if len(self) >= REMEMBERED:
            self.clear()
        label = self[key] = self._make(key)
        return label


class Call:
    """One call. ``facts`` are attributes of its span; numbers in ``SUMMED`` are added up when calls share a span."""

    __slots__ = ("ended_ns", "error", "facts", "label", "place", "rows", "started_ns")

    def __init__(self, label: Label, place: Run | Task) -> None:
        self.label = label
        self.place = place
        self.facts: dict[str, object] | None = None
        self.error: str | None = None  # a type, or a status; no message: those of databases and HTTP clients quote values
        self.rows = -1  # those that a database answered, once it did
        self.ended_ns = 0
        self.started_ns = monotonic_ns()

    def finish(self, error: BaseException | None = None) -> None:
        """Write its span, or count it among the others of its kind."""
        if not self.ended_ns:
            self.ended_ns = monotonic_ns()
        if error is not None:
            from rota._failure import type_name

            self.error = type_name(error)
        place = self.place
        calls = CALLS.get(place.span_id) or _opened(place)
        tally = calls.tallies.get(self.label) or calls.tally(self.label)
        tally.add(self)

    def rendered(self) -> str:
        """Its facts, each with a comma before."""
        facts = events.attributes(self.facts) if self.facts else ""
        text = "," + facts if facts else ""  # they may all be None
        return text if self.error is None else text + "," + events.attribute(names.ERROR_TYPE, self.error)


class OpenCall(Call):
    """A call that is not over when the library returns: rows are still fetched, a process still runs.

    It is finished when the program lets go of it, or the run ends: whatever comes first.
    """

    __slots__ = ("is_open",)

    def stay_open(self) -> None:
        """The library has returned."""
        self.ended_ns = monotonic_ns()
        self.is_open = True
        if self.place.run.span_id not in CALLS:
            _opened(self.place.run)
        OPEN[self] = None
        if len(OPEN) > MOST_OPEN:
            next(iter(OPEN.copy())).let_go()

    def let_go(self) -> None:
        """Finish it, the first time. May run in a destructor, at any time and in any thread."""
        if self.is_open:
            self.is_open = False
            try:
                OPEN.pop(self, None)
                self.settle()
            except Exception as error:
                note("instrument", error)

    def settle(self) -> None:
        """What there is to say at last."""
        self.finish()


class Answer(OpenCall):
    """The answer of a database. Its time is the library's; its rows are those that the program fetched."""

    __slots__ = ("iterated",)
    iterated: count[int] | None

    def __init__(self, label: Label, place: Run | Task) -> None:
        self.label, self.place = label, place
        self.facts = self.error = self.iterated = None
        self.rows, self.ended_ns = -1, 0
        self.started_ns = monotonic_ns()  # the last, as in Call: without a frame more, since loops make millions

    def has_rows(self) -> None:
        """They are not fetched yet."""
        self.rows = 0
        self.stay_open()

    def fetched(self, rows: int) -> None:
        """The program has asked for rows and got so many."""
        self.ended_ns = monotonic_ns()
        self.rows += rows

    def numbers(self) -> Iterable[int]:
        """Takes a number for each row of an iteration, so that none needs a line of Python."""
        if self.iterated is None:
            from itertools import count

            self.iterated = count(1)  # never 0: what is false would leave a row out
        return self.iterated

    def settle(self) -> None:
        """With the rows by then."""
        if self.iterated is not None:
            self.rows += next(self.iterated) - 1
        self.finish()

    def rendered(self) -> str:
        """Its rows and its facts."""
        text = super().rendered() if self.facts or self.error is not None else ""
        return text if self.rows < 0 else _ROWS % self.rows + text


_ROWS = "," + events.attribute(names.DB_ROWS, 7).replace("7", "%d")


def begin(label: Label, place: Run | Task, kind: type[C]) -> C | None:
    """Open a call under ``place``, which is what is current.

    None: no run is open here, or somebody else already shows this call.
    """
    if place.run.is_over:
        return None
    outer = INSIDE.get()
    if outer is not None and outer.place is place and not outer.ended_ns:
        return None
    if "opentelemetry" in sys.modules:
        from rota.instrument._theirs import shows

        if shows(label.library):
            return None
    return kind(label, place)


class Tally:
    """The calls of one kind in one task or run."""

    __slots__ = ("_failed", "_label", "_place", "_seen", "_waiting", "_written_at")

    def __init__(self, place: Run | Task, label: Label) -> None:
        self._place, self._label = place, label
        self._seen = self._failed = self._written_at = 0
        self._waiting: deque[Counted] = deque()

    def add(self, call: Call) -> None:
        """Count one. Safe with other threads adding: each call is told exactly once."""
        self._seen += 1
        if call.error is not None:
            self._failed += 1
        if self._seen <= IN_FULL or (call.error is not None and self._failed <= IN_FULL):
            self._write(call.started_ns, call.ended_ns, call.rendered(), call.error is not None)
            return
        self._waiting.append((call.started_ns, call.ended_ns, call.error is not None, call.facts, call.rows))
        waits_ns = call.ended_ns - self._written_at
        if len(self._waiting) >= TOGETHER or (waits_ns > TOGETHER_EAGER_NS and waits_ns > self._longest_ns()):
            self.close()

    def close(self) -> None:
        """Write one span for all that wait."""
        taken = []
        while self._waiting:
            try:
                taken.append(self._waiting.popleft())
            except IndexError:
                break
        if taken:
            started_ns, ended_ns = min([each[0] for each in taken]), max([each[1] for each in taken])
            self._write(started_ns, ended_ns, "," + events.attributes(_together(taken)), False)

    def _longest_ns(self) -> int:
        return TOGETHER_EAGER_NS if self._place.run.owner.spool.eager else TOGETHER_NS

    def _write(self, started_ns: int, ended_ns: int, facts: str, failed: bool) -> None:
        self._written_at = ended_ns
        place, label = self._place, self._label
        run = place.run
        offset_ns = run.owner.clock.offset_ns
        inner = label.attributes + facts if label.attributes else facts[1:]
        tail = ',"status":{"code":2}' if failed else ""
        span = f'{run.span_head}{run.new_span_id()}","parentSpanId":"{place.span_id}{label.middle}{offset_ns + started_ns}","endTimeUnixNano":"{offset_ns + ended_ns}","attributes":[{inner}]{tail}}}'  # noqa: E501
        spool = run.owner.spool
        spool.add_span(run.scope, span, ended_ns)
        if spool.eager and not place.is_task:
            spool.flush()


def _together(calls: list[Counted]) -> dict[str, object]:
    busy = failures = 0
    sums: dict[str, Any] = {}
    for started_ns, ended_ns, failed, facts, rows in calls:
        busy += ended_ns - started_ns
        failures += failed
        if rows >= 0:
            sums[names.DB_ROWS] = sums.get(names.DB_ROWS, 0) + rows
        for name, fact in facts.items() if facts else ():
            if name in SUMMED and fact is not None:
                sums[name] = sums.get(name, 0) + fact
    return {names.CALLS_COUNT: len(calls), names.CALLS_FAILED: failures or None, names.CALLS_BUSY: busy, **sums}


class Calls:
    """The calls of one task or run, by kind."""

    def __init__(self, place: Run | Task) -> None:
        self.place = place
        self.tallies: dict[Label, Tally] = {}

    def tally(self, label: Label) -> Tally:
        """The tally of a kind; when there are too many kinds, one for all the rest of that library."""
        if len(self.tallies) >= MOST_LABELS:
            label = _REST[label.library]
        return self.tallies.setdefault(label, Tally(self.place, label))

    def close(self) -> None:
        """Write what is not written yet: the task or the run ends."""
        if not self.place.is_task:
            for call in [call for call in list(OPEN) if call.place.run is self.place]:
                call.let_go()
        for tally in list(self.tallies.values()):
            tally.close()


_REST = Labels(lambda library: Label(library, library, {}))


def _opened(place: Run | Task) -> Calls:
    found: Calls = CALLS.setdefault(place.span_id, Calls(place))
    _close.at_end()
    return found
