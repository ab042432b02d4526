"""What the libraries of a script do, seen without a line of the script changed.

One small file a library. It is loaded when that library is imported (or was, before the first run began), and its
``install(module)`` replaces methods of the library's classes by themselves with a span around: see ``_patch`` and ``_call``.
A script that imports none of these libraries pays for a dict, and one object in ``sys.meta_path``.

Only methods of classes are replaced, never module-level functions that somebody may have imported by name and pickles.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from rota import _config
from rota._guard import guarded, note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Sequence

FILES = {  # what is imported: our file for it, which is also its name in ROTA_INSTRUMENT
    "duckdb": "duckdb",
    "httpx": "httpx",
    "logging": "logging",
    "pandas": "pandas",
    "requests": "requests",
    "smtplib": "smtplib",
    "sqlalchemy": "sqlalchemy",
    "sqlite3": "sqlite3",
    "subprocess": "subprocess",
    "urllib.request": "urllib",
    "warnings": "warnings",
}

_wanted: dict[str, str] = {}
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
        if module is not None and not _is_being_imported(module):
            _install(name, module)


def _install(name: str, module: ModuleType) -> None:
    try:
        __import__("rota.instrument." + _wanted[name], fromlist=("install",)).install(module)
    except Exception as error:
        note("instrument " + name, error)


def _is_being_imported(module: ModuleType) -> bool:
    """Half a module, whose ``import`` runs in another thread or further up the stack: it is left alone."""
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _Finder:
    """Answers for the libraries of the table only: with the spec that the other finders give."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in _wanted:
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
            execute(module)
            if is_it:
                _install(name, module)

        own["exec_module"] = exec_module
    except Exception as error:  # a loader that cannot be told: the library goes unseen
        note("instrument " + name, error)
