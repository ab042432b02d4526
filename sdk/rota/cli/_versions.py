"""Versions of a policy beside each other, an earlier one stored again, and a proposed one against the past."""

from __future__ import annotations

import difflib
import json

from rota.cli import _api, _text, _typed
from rota.errors import CollectorError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Iterable

    from rota.cli._policy_files import Given

_WOULD = {
    "wait": "held %d runs", "skip": "skipped %d runs", "deny": "denied %d runs", "retry": "tried %d runs again",
    "saved": "saved %d runs",
}  # fmt: skip
_COLOURS = {"+": "green", "-": "red", "@": "blue"}


def of_workflow(args: Namespace) -> int:
    """How two versions of a workflow differ."""
    if not args.workflow:
        raise UsageError("name a workflow, or files with -f")
    versions = {each["version"]: each for each in _list(args.workflow)}
    newer = args.newer or max(versions, default=0)
    older = args.older if args.older is not None else newer - 1
    before, after = ({} if number == 0 else _one(versions, number, args.workflow)["policy"] for number in (older, newer))
    return _show(_lines(before, after, "version %d" % older, "version %d" % newer), args)


def of_files(given: Given, args: Namespace) -> int:
    """How what is stored differs from the documents of files; asks the collector to read them, and stores nothing."""
    answer = _sent(given, dry_run=1, source=given.place, prune=1 if given.place else None)
    lines: list[str] = []
    for each in answer["items"]:
        name, files = each["workflow"], ", ".join(given.files)
        if args.workflow in (None, name):
            now = name + " as in " + files if each["change"] != "removed" else name + " is not in it; --prune takes it away"
            lines += _lines(each["before"] or {}, each["stored"] or {}, name + " as it is", now)
    return _show(lines, args)


def applied(given: Given, args: Namespace) -> _api.Item:
    """What is in force now, or would be. What others store between the look and the deed is not overwritten."""
    what = {"author": _typed.who(), "reason": args.reason, "source": given.place, "revision": given.revision}
    what["prune"] = 1 if args.prune else None
    tried = _sent(given, dry_run=1, **what)
    return tried if args.dry_run else _sent(given, as_of=tried["as_of"], **what)


def tested(given: Given, args: Namespace) -> int:
    """What the documents of files would have changed; stores nothing."""
    found = _api.post_text("/policies/test", given.text, given.kind)["items"]
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


def _sent(given: Given, **parameters: object) -> _api.Item:
    """The answer to documents of files. Of several files, an error names the one that it is about, where that can be told."""
    try:
        return _api.post_text("/policies", given.text, given.kind, **parameters)
    except CollectorError:
        for one in given.apart() if len(given.files) > 1 else ():
            _said_of(one)
        raise


def _said_of(one: Given) -> None:
    try:
        _api.post_text("/policies", one.text, one.kind, dry_run=1)
    except CollectorError as error:
        raise CollectorError("%s: %s" % (one.files[0], error)) from None


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


def _lines(before: _api.Item, after: _api.Item, older: str, newer: str) -> Iterable[str]:
    return difflib.unified_diff(_spelled(before), _spelled(after), older, newer, lineterm="")


def _spelled(document: dict[str, object]) -> list[str]:
    from rota.rules.policy import ordered

    return json.dumps(ordered(document), indent=2, ensure_ascii=False).splitlines()


def _show(lines: Iterable[str], args: Namespace) -> int:
    """Print what differs; the exit status."""
    found = list(lines)
    for line in found:
        print(_text.coloured(_text.clean(line), _COLOURS.get(line[:1])))
    if not found:
        print("no difference")
    return 1 if found and args.exit_code else 0
