"""``rota.watch()``: this process is one run."""

from __future__ import annotations

import os
import sys

from rota import _config, _propagate, instrument
from rota._guard import note
from rota._process import Process, process
from rota._run import Run, process_run, set_process_run
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Iterable


def watch(
    name: str | None = None, *, schedule: str | None = None, tz: str | None = None, grace: str | None = None,
    max_duration: str | None = None, tags: Iterable[str] = (), tasks: Iterable[str] = (),
) -> Run | None:  # fmt: skip
    """Make this process one run of a workflow, from here to its end, however it ends.

    ``name`` is the workflow; without one, ``ROTA_WORKFLOW`` or the script's file name without its ending. ``schedule``
    (``"0 2 * * *"``, ``"every 5m"``), ``tz``, ``grace`` and ``max_duration`` (``"15m"``) are sent as declared. ``tasks`` names
    functions of the calling module (shell patterns allowed) to observe as tasks: call ``watch`` below their definitions.
    Returns the run, or None when rota is disabled.

    In a child made by multiprocessing or fork it joins the parent's run; in a script that ``rota exec`` runs it joins that run,
    unless ``name`` is another. A second call returns the run there is.

    Raises nothing but SystemExit, where the workflow's policy has gates that do not let it run: 0 when it is skipped, 75 when it
    is denied.
    """
    try:
        if _config.disabled():
            return None
        run = process_run() or _begin(name, schedule=schedule, tz=tz, grace=grace, max_duration=max_duration, tags=tags)
        instrument.start()
        _obey(run, sys._getframe(1))
        if tasks:
            _observe_functions(sys._getframe(1).f_globals, tasks)
        return run
    except Exception as error:
        note("watch", error)
        return None


def _begin(name: str | None, **declared: object) -> Run:
    workflow = name or os.environ.get("ROTA_WORKFLOW") or script_name()
    owner = process(workflow)
    parent_run_id, parent_workflow = _propagate.inherited_run()
    if parent_run_id and _is_worker():
        run = Run.joined(owner, parent_run_id, parent_workflow or workflow, *_propagate.inherited())
        owner.spool.eager = True
        set_process_run(run)
        return run
    run = under_exec(owner, name) or Run(owner, workflow, "process")
    run.declare(_declaration(name, declared))
    path = _policy_of(run) or _brought(run) if run.kind == "process" else ""  # a part of exec's run: exec has asked
    if path:
        from rota.control.start import admit

        admit(run, path)
    run.start()
    owner.finish_at_end(run)
    _propagate.announce(run.trace_id, run.span_id, run.run_id, run.workflow)
    set_process_run(run)
    return run


def _obey(run: Run, caller: FrameType) -> None:
    """Put the run under its policy, if that asks something of it: one look at the disk, for all others."""
    path = _policy_of(run)
    if path:
        from rota.control.start import start

        start(run, path, caller)


def _policy_of(run: Run) -> str:
    """The path of the policy that asks something of the run; empty when there is none."""
    path = "%s/policy/%s.json" % (run.owner.home, _propagate.quoted(run.workflow))
    return path if os.path.exists(path) and not _config.is_captured else ""


def _brought(run: Run) -> str:
    """The same, once a collector on this machine has said what other policies there are: one that was set before the workflow's
    first run holds for it.
    """
    if _config.is_captured or not run.owner.carrier.other_policies():
        return ""
    from rota.control.asking import bring

    bring(run.owner.home)
    run.started_ns = run.owner.clock.now_ns()
    return _policy_of(run)


def under_exec(owner: Process, name: str | None) -> Run | None:
    """The run of the ``rota exec`` that runs this script, unless ``name`` asks for a run of its own."""
    marker = _propagate.inherited_exec()
    if not marker:
        return None
    from rota.exec.part import part_of

    return part_of(owner, name, marker)


def script_name() -> str:
    """The workflow's name when nobody gave one: ``backup`` for ``/opt/backup.py``, the package for ``python -m package``."""
    path = sys.argv[0] if sys.argv and sys.argv[0] else ""
    if path in ("", "-", "-c"):
        return "stdin" if path == "-" else "python"
    stem = os.path.splitext(os.path.basename(path))[0]
    if stem == "__main__":
        stem = os.path.basename(os.path.dirname(os.path.abspath(path)))
    return stem or "python"


def _is_worker() -> bool:
    """Whether multiprocessing started this interpreter (spawn or forkserver): it runs the script's top once more.

    Its import alone makes ``__mp_main__`` another name of ``__main__``; only in a worker is there a module that is called so.
    """
    if getattr(sys.modules.get("__mp_main__"), "__name__", "") == "__mp_main__":
        return True
    multiprocessing = sys.modules.get("multiprocessing.process")
    return getattr(multiprocessing, "_parent_process", None) is not None


def _declaration(name: str | None, declared: dict[str, object]) -> dict[str, object]:
    main = sys.modules.get("__main__")
    return {
        names.NAME_SOURCE: "given" if name or os.environ.get("ROTA_WORKFLOW") else "script",
        names.CODE_FILE: getattr(main, "__file__", None),
        names.SCHEDULE_SPEC: declared["schedule"],
        names.SCHEDULE_TZ: declared["tz"],
        names.SCHEDULE_GRACE: declared["grace"],
        names.MAX_DURATION: declared["max_duration"],
        names.TAGS: list(declared["tags"]) or None,  # type: ignore[call-overload]
    }


def _observe_functions(module: dict[str, object], patterns: Iterable[str]) -> None:
    """Replace the module's own functions that match a pattern by themselves wrapped in a task."""
    from rota._task import task

    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    for name, found in list(module.items()):
        is_own_function = type(found) is type(watch) and found.__module__ == module.get("__name__")
        if is_own_function and not hasattr(found, "__wrapped__") and any(_matches(name, pattern) for pattern in wanted):
            module[name] = task(found)


def _matches(name: str, pattern: str) -> bool:
    if "*" not in pattern and "?" not in pattern and "[" not in pattern:
        return name == pattern
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)
