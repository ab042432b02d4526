"""What your code tells rota, in memory, for its tests. Raises; never to be used in production.

    with rota.testing.capture() as captured:
        nightly.main()
    assert captured.run("etl.nightly").facts == {"rows": 3}

Inside the block nothing is written or sent, and an error that rota swallows is raised at its end. With pytest there is the
fixture ``rota_runs``. What is captured went the way of everything that leaves: it is what a collector would get.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from rota import _config, _guard, _process, _propagate, _run
from rota._captured import CapturedRun, CapturedTask, Reading
from rota._current import CURRENT, leave
from rota._ending import exit_of
from rota._forward import DetachedCarrier
from rota._guard import guarded
from rota._spool import Spool, SpoolFile
from rota.errors import NotCapturedError, SwallowedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence, TypeVar

    from rota._run import Run

    Found = TypeVar("Found", CapturedRun, CapturedTask)

__all__ = ["Captured", "CapturedRun", "CapturedTask", "NotCapturedError", "SwallowedError", "capture"]

# Taken away inside the block, so that no test depends on who runs it, and put back.
_INHERITED = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "ROTA_WORKFLOW", "ROTA_DISABLED")


@contextmanager
def capture() -> Iterator[Captured]:
    """Keep in memory what is told inside the block, in all threads; no file, no connection, whatever ``ROTA_DISABLED`` says.

    The block is a process of its own: a run that ``rota.watch()`` begins in it ends with it, in the way it is left. Afterwards
    everything is as it was. Blocks may be nested: the innermost captures. Child processes report nowhere.

    Raises:
        SwallowedError: something went wrong inside rota, and the block itself did not fail.
    """
    captured = Captured()
    before = _guard.listen(captured._hear)
    try:
        with captured.process():
            yield captured
    except BaseException as error:
        if captured.swallowed and hasattr(error, "add_note"):  # CPython >= 3.11
            error.add_note(_swallowed_text(captured.swallowed))
        raise
    finally:
        _guard.listen(before)
    captured.check()


class Captured:
    """What was told so far: look at it inside the block, too."""

    def __init__(self) -> None:
        self.swallowed: list[tuple[str, BaseException]] = []  # rota's own errors, each with what rota was at
        self._lines: list[bytes] = []
        self._processes: list[_Process] = []

    @property
    def runs(self) -> list[CapturedRun]:
        """The runs, in the order of their start."""
        return list(self._read().runs.values())

    @property
    def tasks(self) -> list[CapturedTask]:
        """The tasks that have ended, of all runs, in the order of their start."""
        return self._read().tasks

    def run(self, name: str | None = None) -> CapturedRun:
        """The one run of that workflow; without a name, the one run there is.

        Raises:
            NotCapturedError: there is none, or more than one.
        """
        return _only("run", self.runs, name)

    def task(self, name: str | None = None) -> CapturedTask:
        """The one task of that name; without one, the one task there is.

        Raises:
            NotCapturedError: there is none, or more than one.
        """
        return _only("task", self.tasks, name)

    def check(self) -> None:
        """Raise ``SwallowedError`` when something went wrong inside rota. Done at the end of the block, too."""
        if self.swallowed:
            raise SwallowedError(_swallowed_text(self.swallowed)) from self.swallowed[0][1]

    @contextmanager
    def process(self) -> Iterator[None]:
        """A block that stands for one more process, say a second start of the script: ``watch()`` in it begins a run of its own.

        The run ends with the block, as it would with the process: let the exception leave the block, and catch it outside.
        """
        environment = {name: os.environ.pop(name, None) for name in _INHERITED}
        os.environ["ROTA_DISABLED"] = _config.CAPTURED
        was_captured, _config.is_captured = _config.is_captured, True
        made = _Process(self._lines)
        self._processes.append(made)
        before, run_before, token = _process.set_process(made), _run.set_process_run(None), CURRENT.set(None)
        try:
            yield
        except BaseException as error:
            made.left_by = error
            raise
        finally:
            made.end()
            leave(token)
            _run.set_process_run(run_before)
            _process.set_process(before)
            _config.is_captured = was_captured
            _propagate.put_back(environment)

    def _hear(self, where: str, error: BaseException) -> None:
        self.swallowed.append((where, error))

    def _read(self) -> Reading:
        for made in self._processes:
            made.spool.flush()
        reading = Reading(list(self._lines))
        for run in [made.run for made in self._processes if made.run is not None and not made.run.is_over]:
            reading.add_facts(run.run_id, run.facts)
        return reading


class _Process(_process.Process):
    """Stands for this process: its spool is a list, nobody carries it, and it ends with a block."""

    def __init__(self, lines: list[bytes]) -> None:
        self._lines = lines
        self.run: Run | None = None
        self.left_by: BaseException | None = None
        super().__init__("rota.testing")

    def _open(self) -> None:
        self.spool = Spool(self.home, "", self.resource)
        self.spool.logs = self.spool.traces = _Memory(self._lines)
        self.spool.eager = True
        self.carrier = DetachedCarrier(self.spool, may_start=False)

    def finish_at_end(self, run: Run) -> None:
        self.run = run
        self.at_end = guarded(lambda: run.finish(**exit_of(self.left_by)))


class _Memory(SpoolFile):
    """Lines that no file holds."""

    def __init__(self, lines: list[bytes]) -> None:
        super().__init__("", "", "", 0)
        self._lines = lines

    def append(self, line: bytes, items: int = 1) -> None:  # noqa: ARG002  the signature is that of a file
        self._lines.append(line)


def _only(kind: str, found: Sequence[Found], name: str | None) -> Found:
    chosen = [each for each in found if name is None or each.name == name]
    if len(chosen) == 1:
        return chosen[0]
    wanted = "one %s" % kind if name is None else "one %s %r" % (kind, name)
    shown = "".join("\n  %r" % each for each in found) or " nothing"
    raise NotCapturedError("wanted %s, found %d. Captured:%s" % (wanted, len(chosen), shown))


def _swallowed_text(swallowed: Sequence[tuple[str, BaseException]]) -> str:
    told = ["\n  %s: %s: %s (%s)" % (where, type(error).__name__, error, _guard.place(error)) for where, error in swallowed]
    return "rota swallowed this, and your code did not notice:" + "".join(told)
