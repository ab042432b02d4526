"""The text of policy documents → documents, and all that is wrong with them. Pure.

YAML is read by the rules of YAML 1.2: `on` and `no` are words, `010` and `2026-01-01` are text, and nothing else is made
of them. What would only be found later (a key that is there twice, an alias that stands for a million lines) is refused here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, NamedTuple

import yaml

from rota.rules import policy
from rota_collector.domain import schedule
from rota_collector.domain.terms import terms

_NUMBERS = "-+.0123456789"


class Unreadable(ValueError):
    """A text that is neither YAML nor JSON; the message says where and why."""


class Placed(NamedTuple):
    """A document, and where in the text it stands: the lines (from 1) of its keys, by their paths; "" is its beginning. Of JSON
    nothing is known.
    """

    document: object
    lines: dict[str, int]

    def line(self, problem: str) -> int | None:
        """The line that a problem, which begins with the path of a key, is about: of that key, or of the nearest around it."""
        path = problem.partition(": ")[0]
        while path and path not in self.lines:
            path = path.rpartition("[" if path.endswith("]") else ".")[0]
        return self.lines.get(path)


class Examined(NamedTuple):
    """A document and what is to be said of it. With ``problems`` it cannot be used."""

    workflow: str
    document: dict[str, Any]  # without the name
    problems: list[str]
    warnings: list[str]


def read(body: bytes, *, is_json: bool) -> list[object]:
    """The documents of a text: of JSON one, or a list of them; of YAML any number, empty ones left out. Raises Unreadable."""
    try:
        text = body.decode("utf-8-sig")
        found = _json(text) if is_json else list(_flat(yaml.load_all(text, _Yaml)))
        for each in found:
            json.dumps(each, allow_nan=False, ensure_ascii=False).encode()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Unreadable(f"{where}{error.problem or error.context}") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise Unreadable(" ".join(str(error).split())) from error
    return found


def read_placed(body: bytes, *, is_json: bool) -> list[Placed]:
    """The same, with the lines. Raises Unreadable."""
    found = read(body, is_json=is_json)
    lines = [{}] * len(found) if is_json else list(_lines(body.decode("utf-8-sig")))
    return [Placed(*each) for each in zip(found, lines, strict=True)]


def _lines(text: str) -> Iterator[dict[str, int]]:
    """Of each document of a text that can be read, the lines of its keys."""
    for node in yaml.compose_all(text, _Yaml):
        many = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for each in many:
            if isinstance(node, yaml.SequenceNode) or each.tag != "tag:yaml.org,2002:null":
                yield dict(_places("", each, each.start_mark.line + 1))


def _places(path: str, node: Any, line: int) -> Iterator[tuple[str, int]]:
    yield path, line
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _places(f"{path}.{key.value}" if path else key.value, value, key.start_mark.line + 1)
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _places(f"{path}[{i}]", value, value.start_mark.line + 1)


def _flat(documents: Iterable[object]) -> Iterator[object]:
    """A list stands for its documents."""
    for each in documents:
        yield from each if isinstance(each, list) else [each] if each is not None else []


def _json(text: str) -> list[object]:
    found = json.loads(text, object_pairs_hook=_without_duplicates)
    return found if isinstance(found, list) else [found]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


class _Yaml(yaml.SafeLoader):
    """PyYAML, without what YAML 1.1 makes of plain words."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read: write it out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ARG002 (the name is PyYAML's)
        found: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if key.value in found:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
            found[key.value] = self.construct_object(value, deep=True)
        return found


_Yaml.yaml_implicit_resolvers = {}
_resolve: Callable[[str, re.Pattern[str], list[str]], None] = _Yaml.add_implicit_resolver
_resolve("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_resolve("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_resolve("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list(_NUMBERS))
_resolve("tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$"), list(_NUMBERS))


def examine(document: object, workflow: str | None, now_ns: int) -> Examined:
    """What is wrong with a document, all of it; ``workflow`` is whose it must be (None: it says so itself)."""
    try:
        valid = dict(policy.validate(document))
    except policy.PolicyError as error:
        return Examined(_name_in(document) or workflow or "", {}, list(error.problems), [])
    named = valid.pop("workflow", None)
    problems = []
    if workflow is None and not named:
        problems.append("workflow: the document does not say whose it is")
    elif named and workflow is not None and named != workflow:
        problems.append(f"workflow: the document is of {named!r}, and was put at {workflow!r}")
    wrong, warnings = of_schedule(policy.merge({}, valid), now_ns)
    return Examined(named or workflow or "", valid, problems + wrong, warnings)


def examine_all(documents: list[object], now_ns: int) -> list[Examined]:
    """The same for documents that each say whose they are; no two may be of one workflow."""
    found: list[Examined] = []
    for each in documents:
        one = examine(each, None, now_ns)
        if one.workflow and one.workflow in [other.workflow for other in found]:
            one.problems.append(f"workflow: two documents are of {one.workflow!r}")
        found.append(one)
    return found


def of_schedule(document: dict[str, Any], now_ns: int) -> tuple[list[str], list[str]]:
    """(errors, warnings) about the schedule of a valid document, looking ahead from ``now_ns``."""
    try:
        found = terms(document)
    except ValueError as error:
        return [f"schedule: {error}"], []
    if found.schedule is None:
        return [], []
    said = schedule.problems(found.schedule, found.expectation.limits.grace_ns or 0, now_ns)
    errors = [f"schedule: {each.text}" for each in said if each.severity == "error"]
    return errors, [f"schedule: {each.text}" for each in said if each.severity != "error"]


def _name_in(document: object) -> str | None:
    name = document.get("workflow") if isinstance(document, dict) else None
    return name if isinstance(name, str) else None
