"""Files of policies: which ones a path stands for, what is in them, and where they come from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import NamedTuple

from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser
    from typing import Any, Sequence

_KINDS = (".yaml", ".yml", ".json")
_GIT_SECONDS = 10.0
STDIN = "-"


class Given(NamedTuple):
    """What is sent: a text of documents, its media type, and the place and commit that it comes from (None: nobody knows)."""

    files: list[str]
    text: bytes
    kind: str
    place: str | None
    revision: str | None

    def apart(self) -> list[Given]:
        """Each file by itself."""
        return [self._replace(files=[file], text=_read(file), kind=_kind(file)) for file in self.files]


def add_arguments(parser: ArgumentParser, *, required: bool) -> None:
    """Add what names files."""
    parser.add_argument(
        "-f", "--file", dest="files", action="append", required=required, metavar="PATH",
        help="YAML or JSON, each document with its `workflow`; of a folder all files that end so; - reads stdin; may be repeated",
    )  # fmt: skip


def add_source(parser: ArgumentParser) -> None:
    """Add what says where they come from."""
    parser.add_argument(
        "--source", metavar="TEXT", help="where they come from, for the record; when left out, the path in the Git repository"
    )


def given(paths: Sequence[str], source: str | None = None) -> Given:
    """All that the paths stand for, as one text. Raises UsageError."""
    files = expanded(paths)
    place, revision = _source(paths)
    if len(files) == 1:
        return Given(files, _read(files[0]), _kind(files[0]), source or place, revision)
    return Given(files, b"\n---\n".join(map(_as_yaml, files)), "application/yaml", source or place, revision)


def expanded(paths: Sequence[str]) -> list[str]:
    """The files that paths stand for: those below a folder by their names. Raises UsageError."""
    found: list[str] = []
    for path in paths:
        below = _below(path) if os.path.isdir(path) else [path]
        if not below:
            raise UsageError("there is no file below %s that ends in %s" % (path, ", ".join(_KINDS)))
        found += [file for file in below if file not in found]
    return found


def _below(folder: str) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [os.path.join(place, name) for name in sorted(files) if name.endswith(_KINDS) and not name.startswith(".")]
    return found


def _kind(file: str) -> str:
    return "application/json" if file.endswith(".json") else "application/yaml"


def _read(file: str) -> bytes:
    try:
        if file == STDIN:
            return sys.stdin.buffer.read()
        with open(file, "rb") as opened:
            return opened.read()
    except OSError as error:
        raise UsageError("cannot read %s: %s" % (file, error.strerror)) from None


def _as_yaml(file: str) -> bytes:
    """The text of a file as a part of a longer one."""
    text = _read(file)
    if not file.endswith(".json"):
        return text[3:] if text.startswith(b"\xef\xbb\xbf") else text
    from rota.cli import _yaml

    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError("%s: %s" % (file, error)) from None
    return _yaml.documents(found if isinstance(found, list) else [found]).encode()


def _source(paths: Sequence[str]) -> tuple[str | None, str | None]:
    """(place, commit): in a Git work tree the repository and the path in it; else the host and the path."""
    if len(paths) != 1 or paths[0] == STDIN:
        return None, None
    from rota import _code
    from rota.wire.names import VCS_REVISION, VCS_URL

    path = os.path.realpath(paths[0])
    git = _code.repository(os.path.dirname(path))
    if not git:
        return "%s:%s" % (os.uname().nodename if hasattr(os, "uname") else "", path), None
    root = os.path.dirname(git)
    told = _code.version(path, time.time_ns())
    home = str(told.get(VCS_URL) or os.path.basename(root)).partition("://")[2] or os.path.basename(root)
    commit = told.get(VCS_REVISION)
    return "%s/%s" % (home, os.path.relpath(path, root)), str(commit) + _changes(root, path) if commit else None


def _changes(root: str, path: str) -> str:
    """``+changes`` when what is there is not what was committed; nothing where there is no git to ask."""
    command: list[Any] = ["git", "-C", root, "status", "--porcelain", "--", path]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "+changes" if done.stdout.strip() else ""
