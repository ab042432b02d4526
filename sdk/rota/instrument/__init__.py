"""What the libraries of a script do, seen without a line of the script changed.

One small file a library. Its ``install(module)`` replaces methods of the library's classes by themselves with a span around:
see ``_patch`` and ``_call``. It is loaded when the library is imported or, where the way into it is narrow (``DOORS``), at the
first call: what is imported and not used costs nothing. A script that imports none of them pays for a dict, and one object
in ``sys.meta_path``.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from rota import _config
from rota._guard import guarded, note, unseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Callable, Iterable, Sequence

FILES = {  # what is imported: our file for it, which is also its name in ROTA_INSTRUMENT
    "botocore.client": "botocore",
    "duckdb": "duckdb",
    "fsspec": "fsspec",
    "httpx": "httpx",
    "logging": "logging",
    "pandas": "pandas",
    "polars": "polars",
    "psycopg": "psycopg",
    "requests": "requests",
    "smtplib": "smtplib",
    "sqlalchemy": "sqlalchemy",
    "sqlite3": "sqlite3",
    "subprocess": "subprocess",
    "urllib.request": "urllib",
    "warnings": "warnings",
}

DOORS = {  # through which every use of a library goes; the others are loaded with theirs
    "logging": ("Logger.callHandlers",),
    "smtplib": ("SMTP.sendmail",),
    "sqlite3": ("connect",),
    "subprocess": ("Popen.__init__",),
    "urllib.request": ("OpenerDirector.open",),
    "warnings": ("_showwarnmsg_impl",),
}
STUBS: dict[int, tuple[Any, Any]] = {}  # by id: what waits for a first call, and what it stands for

_CAN_HIDE = sys.version_info >= (3, 11)  # since then a bare `raise` takes the exception's own traceback

_wanted: dict[str, str] = {}
_awaited: dict[str, Callable[[ModuleType], object]] = {}  # by name: who is told once that module is imported
_finding: set[tuple[int, str]] = set()  # (thread, module) whose spec the other finders are being asked for


@guarded
def start() -> None:
    """Watch for the libraries that the environment does not exclude. Called when a run begins; later calls do nothing."""
    if _FINDER in sys.meta_path:
        return
    _wanted.update({name: file for name, file in FILES.items() if _config.instruments(file)})
    if _wanted:
        sys.meta_path.insert(0, _FINDER)
    for name in _wanted:
        module = sys.modules.get(name)
        if module is not None and not is_being_imported(module):
            _prepare(name, module)


def await_modules(modules: Iterable[str], then: Callable[[ModuleType], object]) -> None:
    """Have ``then(module)`` called once one of these modules is imported, before anybody has its names. It never raises."""
    _awaited.update(dict.fromkeys(modules, then))
    if _awaited and _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _prepare(name: str, module: ModuleType) -> None:
    """Install now, or at the first call."""
    try:
        waiting = [name] if name in DOORS else []
        for door in DOORS.get(name, ()):
            _wait_at(door, module, waiting)
    except Exception as error:  # another module of that name, perhaps
        note("instrument " + name, error)
    else:
        if not waiting:
            _install(name, module)


def _wait_at(door: str, module: ModuleType, waiting: list[str]) -> None:
    """Put a stub into the door's place until the first call. ``waiting``: the library's name, as long as it is not installed."""
    class_name, _, attribute = door.rpartition(".")
    owner: Any = getattr(module, class_name) if class_name else module
    target = original = vars(owner)[attribute]

    def stub(*args: Any, **kwargs: Any) -> Any:
        nonlocal target
        if waiting:
            for name in list(waiting):  # threads that come together all do it: the import lets none through before the end
                _install(name, module)
            waiting.clear()
            installed = vars(owner).get(attribute)
            if installed is not stub and getattr(installed, "__wrapped__", None) is original:
                target = installed  # else another tool has put something around the stub, and calls us
        try:
            return target(*args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(stub, name, getattr(original, name))
    if not class_name:
        stub.__module__ = module.__name__  # where pickle finds it
    stub.__wrapped__ = original  # type: ignore[attr-defined]
    STUBS[id(stub)] = (stub, original)
    setattr(owner, attribute, unseen(stub))


def load_awaited() -> None:
    """Load what a first call would load. Before a fork with threads about: see ``rota._load_all``."""
    for name, file in _wanted.items():
        if name in sys.modules:
            __import__("rota.instrument." + file)


def hide(error: BaseException) -> None:
    """Take the frame of who caught it out of the traceback. To be followed by a bare ``raise``."""
    if _CAN_HIDE and error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def _install(name: str, module: ModuleType) -> None:
    try:
        __import__("rota.instrument." + _wanted[name], fromlist=("install",)).install(module)
    except Exception as error:
        note("instrument " + name, error)


def is_being_imported(module: ModuleType) -> bool:
    """Half a module, whose ``import`` runs in another thread or further up the stack: it is left alone."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _Finder:
    """Answers for the libraries of the table only: with the spec that the other finders give."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _wanted and name not in _awaited:
            return None
        mark = (get_ident(), name)
        if mark in _finding:  # another finder of this kind asks all finders in its turn
            return None
        _finding.add(mark)
        try:
            spec = self._found_by_others(name, path, target)
        finally:
            _finding.discard(mark)
        if spec is not None:
            _follow(spec.loader, name)
        return spec

    def _found_by_others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)  # finders of before Python 3.4 have none, and are asked after us
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                return spec  # type: ignore[no-any-return]
        return None

    def invalidate_caches(self) -> None:
        """There are none; importlib asks."""


_FINDER = _Finder()


def _follow(loader: Any, name: str) -> None:
    """Have ``loader`` call us once it has executed the module. It stays the same object: ``__loader__``, resources, reload."""
    try:
        own = vars(loader)
        if isinstance(loader, type) or "exec_module" in own:
            return
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            is_it = module.__name__ == name  # one loader may serve many modules: a zip file's
            if is_it:
                own.pop("exec_module", None)
            try:
                execute(module)
            except BaseException as error:
                hide(error)
                raise
            if is_it and name in _wanted:
                _prepare(name, module)
            if is_it and name in _awaited:
                _awaited[name](module)

        own["exec_module"] = exec_module
    except Exception as error:  # a loader that cannot be told: the library goes unseen
        note("instrument " + name, error)
