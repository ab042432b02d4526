"""Functions that nobody touched, made tasks by the patterns of a policy, in place: where they are defined, under their name.

A name is looked at as the policy writes it: ``load_orders`` and ``Loader.run`` are of the script itself, ``orders.load`` and
``orders.Loader.run`` of the module ``orders``, which may be imported already or later. What cannot be reached is told:

- what was imported by name before we came (``from orders import load``) stays what it was there;
- a function inside a function does not exist until that one runs;
- ``functools.partial``, ``lru_cache`` and other objects that are called are no functions, and would not be themselves any more.

Methods with two underscores around are part of Python's own doing and never ask. On any fault a function stays as it was.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from types import FunctionType, ModuleType

from rota import instrument
from rota._guard import note
from rota._task import Label, task_of
from rota.control.coming import Coming, definitions, is_class

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any, Iterable, Iterator

    from rota.control.coverage import Coverage

MAINS = ("__main__", "__mp_main__")
_DEEPEST = 4  # classes inside classes
_WILD = set("*?[")


class Functions:
    """Makes tasks of what matches.

    Args:
        patterns: of the policy's ``tasks`` that ask something.
        coverage: told what cannot be reached.
    """

    def __init__(self, patterns: Iterable[str], coverage: Coverage) -> None:
        self._patterns, self._coverage = list(patterns), coverage
        self._originals: list[Any] = []  # of functions in modules: copies of them may be about

    def cover_script(self, frame: FrameType | None) -> None:
        """The functions of the script, those that are there and those to come.

        Args:
            frame: of the script's body; None when it does not run, as in a notebook between two cells.
        """
        main = sys.modules.get("__main__") if frame is None else None
        names = frame.f_globals if frame is not None else vars(main) if main is not None else {}
        defined = {code.co_name for code in definitions(frame.f_code)} if frame is not None else set()
        self._cover(names, "", defined)
        if frame is not None:
            self._await(frame)
            self._report_inner(frame.f_code)

    def cover_modules(self) -> None:
        """The functions of the modules that a pattern names, those that are imported and those to come."""
        wanted = sorted({name for pattern in self._patterns for name in _modules_of(pattern)})
        for name in wanted:
            module = sys.modules.get(name)
            if isinstance(module, ModuleType) and not instrument.is_being_imported(module):
                self.cover_module(module)
        if self._originals:
            self._report_copies()
        instrument.await_modules(wanted, self.cover_module)

    def cover_module(self, module: ModuleType) -> None:
        """One of them, which has just been imported. Never raises."""
        try:
            self._cover(vars(module), module.__name__ + ".", set())
        except Exception as error:
            note("functions", error)

    # -- one namespace -----------------------------------------------------------------------------------------------------

    def _cover(self, names: dict[str, Any], prefix: str, defined: set[str]) -> None:
        for name in list(names):
            try:
                self._cover_name(names, name, prefix, defined)
            except Exception as error:
                note("functions", error)

    def _cover_name(self, names: dict[str, Any], name: str, prefix: str, defined: set[str]) -> Any:
        """What is bound to ``name`` now."""
        path = prefix + name
        found: Any = names.get(name)
        if issubclass(type(found), type):  # and never `isinstance`, which asks the object
            if found.__module__ == names.get("__name__"):
                self._cover_class(found, path, prefix)
        elif self._matches(path, prefix):
            if type(found) is FunctionType:
                is_own = found.__globals__ is names or found.__module__ == names.get("__name__") or name in defined
                if is_own or path in self._patterns:
                    self._replace(names, name, found, path)
            elif callable(found) and (name in defined or getattr(found, "__module__", None) == names.get("__name__")):
                self._coverage.unreached(path, "a %s, no function" % type(found).__name__)
        return names.get(name)

    def _cover_class(self, owner: type, path: str, prefix: str, depth: int = 0) -> None:
        for name, member in list(vars(owner).items()):
            inner = path + "." + name
            if issubclass(type(member), type):
                if depth < _DEEPEST and member.__qualname__ == owner.__qualname__ + "." + name:
                    self._cover_class(member, inner, prefix, depth + 1)
            elif self._matches(inner, prefix) and not (name.startswith("__") and name.endswith("__")):
                function = member.__func__ if isinstance(member, (classmethod, staticmethod)) else member
                if type(function) is FunctionType:
                    made = self._made(member, inner)
                    if made is not member:
                        type.__setattr__(owner, name, made)
                elif callable(function) or isinstance(function, property):
                    self._coverage.unreached(inner, "a %s, no function" % type(function).__name__)

    def _replace(self, names: dict[str, Any], name: str, found: Any, path: str) -> None:
        made = self._made(found, path)
        if made is found:
            return
        names[name] = made
        home = sys.modules.get(found.__module__)
        if home is not None and vars(home) is not names and vars(home).get(name) is found:
            setattr(home, name, made)  # where pickle looks for it, to find the same object
        self._originals.append(found)

    def _made(self, found: Any, path: str) -> Any:
        """The function as a task; itself when it is one already, or does not let itself be looked at."""
        return found if is_task(found) else task_of(found, Label(path))

    def _matches(self, path: str, prefix: str) -> bool:
        """In a module only patterns that name it count: a ``*`` is every function of the script, not of all that it imports."""
        return any(fnmatchcase(path, pattern) for pattern in self._patterns if pattern.startswith(prefix))

    # -- what is to come ---------------------------------------------------------------------------------------------------

    def _await(self, frame: FrameType) -> None:
        names = frame.f_globals
        coming = [code for code in definitions(frame.f_code) if code.co_firstlineno > frame.f_lineno]
        wanted = [code for code in coming if any(self._matches(path, "") for path in _paths(code))]
        if not wanted:
            return
        defined = {code.co_name for code in wanted}
        if not Coming(frame, wanted, lambda name: self._cover_name(names, name, "", defined)).watch():
            note("functions", RuntimeError("a tracer is there already: functions that come after watch() are not covered"))
            for code in wanted:
                self._coverage.unreached(code.co_name, "defined after watch(), under a tracer")

    # -- what cannot be reached --------------------------------------------------------------------------------------------

    def _report_inner(self, body: CodeType) -> None:
        for outer in definitions(body):
            for path in _inner_paths(outer):
                name = path.rpartition(".")[2]
                if any(fnmatchcase(name, pattern) for pattern in self._patterns if "." not in pattern):
                    self._coverage.unreached(path, "a function inside a function")

    def _report_copies(self) -> None:
        """``from x import f`` made copies that lead past us."""
        originals = {id(found): found for found in self._originals}
        for name, module in list(sys.modules.items()):
            if issubclass(type(module), ModuleType):
                names = object.__getattribute__(module, "__dict__")  # one that loads itself when it is looked at stays as it is
                for each in [each for each, value in list(names.items()) if id(value) in originals]:
                    self._coverage.unreached("%s.%s" % (name, each), "imported by name before watch()")


def is_task(function: Any) -> bool:
    """Whether it is a task already, by our decorator or by us."""
    inner = getattr(function, "__func__", function)
    code = getattr(inner, "__code__", None)
    return code is not None and code.co_filename.startswith("<rota,") and code.co_freevars == ("begin", "end", "function")


def _modules_of(pattern: str) -> Iterator[str]:
    """The modules that a pattern may name: ``a.b.load_*`` is of ``a.b``, or of the class ``b`` in ``a``."""
    parts = pattern.split(".")[:-1]
    for count in range(1, len(parts) + 1):
        if _WILD & set(parts[count - 1]):
            return
        yield ".".join(parts[:count])


def _paths(code: CodeType) -> Iterator[str]:
    """The names under which a definition can be called: its own, or of a class those of its methods."""
    if not is_class(code):
        yield code.co_name
        return
    for inner in definitions(code):
        for path in _paths(inner):
            yield code.co_name + "." + path


def _inner_paths(code: CodeType) -> Iterator[str]:
    for inner in definitions(code):
        path = "%s.%s%s" % (code.co_name, "" if is_class(code) else "<locals>.", inner.co_name)
        if not is_class(code) and not is_class(inner):
            yield path
        for deeper in _inner_paths(inner):
            yield path + deeper[len(inner.co_name) :]
