"""Versions of a policy beside each other, an earlier one stored again, and a proposed one against the past."""

from __future__ import annotations

import difflib
import json

from rota.cli import _api, _text, _typed
from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Iterable

_WOULD = {
    "wait": "held %d runs", "skip": "skipped %d runs", "deny": "denied %d runs", "retry": "tried %d runs again",
    "saved": "saved %d runs",
}  # fmt: skip
_COLOURS = {"+": "green", "-": "red", "@": "blue"}


def of_workflow(args: Namespace) -> int:
    """How two versions of a workflow differ."""
    if not args.workflow:
        raise UsageError("name a workflow, or a file with -f")
    versions = {each["version"]: each for each in _list(args.workflow)}
    newer = args.newer or max(versions, default=0)
    older = args.older if args.older is not None else newer - 1
    before, after = ({} if number == 0 else _one(versions, number, args.workflow)["policy"] for number in (older, newer))
    _show(_lines(before, after, "version %d" % older, "version %d" % newer))
    return 0


def of_file(text: bytes, args: Namespace) -> int:
    """How what is stored differs from the documents of a file; asks the collector to read it, and stores nothing."""
    answer = _api.post_text("/policies", text, kind_of(args.file), dry_run=1)
    for each in answer["items"]:
        if args.workflow in (None, each["workflow"]):
            name = each["workflow"]
            stored = _stored(name)
            _show(_lines(stored, each["stored"] or {}, name + " as it is", name + " as in " + args.file))
    return 0


def tested(text: bytes, args: Namespace) -> int:
    """What the documents of a file would have changed; stores nothing."""
    found = _api.post_text("/policies/test", text, kind_of(args.file))["items"]
    if args.json:
        _text.json_items(found)
        return 0
    for each in found:
        print(_text.coloured(_text.clean("%(workflow)s: %(level)s, %(runs)d runs looked at" % each), "bold"))
        rows = [[one["part"], one["kind"], _WOULD[one["answer"]] % one["count"], one["reason"]] for one in each["changes"]]
        rows += [[part, "", "unknown", why] for part, why in each["unknown"].items()]
        if rows:
            _text.table(("PART", "KIND", "WOULD HAVE", "WHY"), rows)
        else:
            print("nothing would have been different")
    return 0


def kind_of(file: str) -> str:
    """The media type of a file of policies."""
    return "application/json" if file.endswith(".json") else "application/yaml"


def rolled_back(args: Namespace) -> _api.Item:
    """Store the document of an earlier version; the policy then."""
    chosen = _one({each["version"]: each for each in _list(args.workflow)}, args.version, args.workflow)
    if chosen["origin"] != "stored":
        raise UsageError("version %d was declared by code, not stored: change the code, or store a policy over it" % args.version)
    reason = args.reason or "back to version %d" % args.version
    return _api.put(_api.of_workflow(args.workflow, "/policy"), chosen["policy"], author=_typed.who(), reason=reason)


def _list(workflow: str) -> list[_api.Item]:
    found: list[_api.Item] = _api.get(_api.of_workflow(workflow, "/policy/versions"))["items"]
    return found


def _one(versions: dict[int, _api.Item], number: int, workflow: str) -> _api.Item:
    if number not in versions:
        known = ", ".join(map(str, sorted(versions))) or "none"
        raise UsageError("%s has no version %d; there are %s" % (workflow, number, known))
    return versions[number]


def _stored(workflow: str) -> _api.Item:
    from rota.errors import CollectorError

    try:
        return _api.get(_api.of_workflow(workflow, "/policy"))["stored"] or {}
    except CollectorError as error:
        if "was ever seen" in str(error):
            return {}
        raise


def _lines(before: _api.Item, after: _api.Item, older: str, newer: str) -> Iterable[str]:
    return difflib.unified_diff(_spelled(before), _spelled(after), older, newer, lineterm="")


def _spelled(document: dict[str, object]) -> list[str]:
    from rota.rules.policy import ordered

    return json.dumps(ordered(document), indent=2, ensure_ascii=False).splitlines()


def _show(lines: Iterable[str]) -> None:
    found = list(lines)
    for line in found:
        print(_text.coloured(_text.clean(line), _COLOURS.get(line[:1])))
    if not found:
        print("no difference")
