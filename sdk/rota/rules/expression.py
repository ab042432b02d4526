"""The language of ``when``: ``task('extract').rows == 0 and run.attempt == 1``. Evaluated by simpleeval, a library that agent and
collector have; what may stand in it is checked without.

``task(NAME)`` is what the last call of a task told, ``last(NAME)`` that of the last run that succeeded, ``run`` the run itself;
a name may be a pattern. Between them: comparisons, ``and``, ``or``, ``not``, ``in``, arithmetic, ``abs``, ``min``, ``max``.
"""

from __future__ import annotations

import ast
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Callable, Mapping

from rota.rules.inflight import Facts

LONGEST = 1000  # characters
_TASKS, _NUMBERS, _NAMES = ("task", "last"), ("abs", "min", "max"), ("run",)
_HOW = "write something like task('extract').rows == 0"
_ALLOWED = tuple(
    getattr(ast, name)
    for name in (
        "Expression", "BoolOp", "And", "Or", "UnaryOp", "Not", "USub", "BinOp", "Add", "Sub", "Mult", "Div", "Mod", "Compare",
        "Eq", "NotEq", "Lt", "LtE", "Gt", "GtE", "In", "NotIn", "Is", "IsNot", "Call", "Attribute", "Subscript", "Index",
        "Constant", "Name", "Load", "List", "Tuple",
    )
    if hasattr(ast, name)
)  # fmt: skip


class Unknown(Exception):
    """A fact that nobody has told."""


def check(text: str) -> None:
    """Raises ValueError when it cannot be a ``when``; the message says why."""
    if len(text) > LONGEST:
        raise ValueError("it is longer than %d characters" % LONGEST)
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError("it cannot be read (%s): %s" % (getattr(error, "msg", error), _HOW)) from None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        said = _problem(node, id(node) in called)
        if said:
            raise ValueError("%s: %s" % (said, _HOW))


def _problem(node: ast.AST, is_called: bool) -> str:
    if not isinstance(node, _ALLOWED):
        return "%s cannot stand in it" % type(node).__name__
    if isinstance(node, ast.Call):
        return _problem_of_call(node)
    if isinstance(node, ast.Name) and node.id not in _NAMES and not is_called:
        return "it knows no %r, but task(...), last(...), run, %s" % (node.id, ", ".join(_NUMBERS))
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not _is_known(node.value):
        return "only task(...), last(...) and run have facts"
    if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
        return "%r is no fact" % node.attr
    return ""


def _problem_of_call(node: ast.Call) -> str:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in _TASKS + _NUMBERS or node.keywords:
        return "only task(...), last(...), %s can be called" % ", ".join(_NUMBERS)
    is_text = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    return "%s needs the name of a task in quotes" % name if name in _TASKS and not is_text else ""


def _is_known(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _TASKS
    return called or (isinstance(node, ast.Name) and node.id in _NAMES)


def holds(when: str, facts: Facts) -> bool | None:
    """Whether it does, by these facts; None: a fact is not known, or it cannot be told for any other reason.

    Unknown is what SQL makes of it: ``or`` with something true is true, ``and`` with something false is false.

    Raises:
        ImportError: simpleeval is not installed.
    """
    names: dict[str, Any] = {"True": True, "False": False, "None": None, "run": _Told(facts.run, "run")}
    evaluator = _evaluator()(names, facts)
    try:
        return bool(evaluator.eval(when, _read(when)))
    except Exception:  # unknown, of a kind that cannot be compared so, no valid ``when``: whoever asks goes on
        return None


@lru_cache(maxsize=1000)
def _read(when: str) -> ast.AST:
    check(when)
    return ast.parse(when.strip()).body[0]


@lru_cache(maxsize=1)
def _evaluator() -> Callable[[Mapping[str, Any], Facts], Any]:
    from simpleeval import EvalWithCompoundTypes

    class Evaluator(EvalWithCompoundTypes):  # type: ignore[misc]
        def __init__(self, names: Mapping[str, Any], facts: Facts) -> None:
            super().__init__(names=names)
            self.functions = {
                "task": lambda name: _task(facts.tasks, name), "last": lambda name: _task(facts.last, name),
                "abs": abs, "min": min, "max": max,
            }  # fmt: skip
            self.operators[ast.Mod] = _remainder

        def _eval_boolop(self, node: Any) -> bool:
            """By the tables of Kleene, as SQL has it."""
            decides, unknown = isinstance(node.op, ast.Or), None
            for value in node.values:
                try:
                    if bool(self._eval(value)) is decides:
                        return decides
                except Unknown as error:
                    unknown = error
            if unknown is not None:
                raise unknown
            return not decides

    return Evaluator


def _remainder(left: float, right: float) -> float:
    """Of numbers: of a text, ``%`` is Python's formatting, which makes texts of any length."""
    return (left + 0) % (right + 0)


class _Told:
    """Facts by name. One that nobody told raises Unknown."""

    def __init__(self, facts: Mapping[str, Any], of: str) -> None:
        self._facts, self._of = facts, of

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __getitem__(self, name: str) -> Any:
        if self._facts.get(name) is None:
            raise Unknown("%s told no %s" % (self._of, name))
        return self._facts[name]


def _task(tasks: Mapping[str, Mapping[str, Any]], name: str) -> _Told:
    """What is known of a task; of a pattern, what the last one told, and how often all of them were called and failed."""
    if name in tasks:
        return _Told(tasks[name], name)
    matching = [task for each, task in tasks.items() if fnmatchcase(each, name)]
    if not matching:
        return _Told({}, name)
    counts = {count: sum(task.get(count) or 0 for task in matching) for count in ("calls", "failures")}
    return _Told({**matching[-1], **counts}, name)
