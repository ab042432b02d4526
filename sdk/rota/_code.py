"""What code a run ran: the commit of the git repository that its script lies in, else the script's hash.

Read from the files of ``.git`` when the run ends: no git is started. Since it is the end, what changed during the run is not
told: the old ran, and only the new is there. Best effort, and never a file on another machine: one may never answer.
"""

from __future__ import annotations

import os
import sys

from rota._host import is_remote, read, read_bytes
from rota.wire import names

_MOST_HASHED = 128 * 1024  # bytes; some 0.4 ms
_MOST_PACKED = 1024 * 1024
_LEVELS = 32
_HEX = frozenset("0123456789abcdef")


def attributes(path: str, at_start: os.stat_result, since_ns: int) -> dict[str, object]:
    """About the script at ``path``, whose file was ``at_start`` when the run began, at that Unix time in ns."""
    is_on_disk = hasattr(os, "major") and os.major(at_start.st_dev) != 0  # the rest needs a look at what is mounted
    if not is_on_disk and sys.platform == "linux" and is_remote(at_start.st_dev, read("/proc/self/mountinfo", 1024 * 1024)):
        return {}
    try:
        now = os.stat(path)
    except OSError:  # it went, or the name was relative and the folder is another
        return {}
    if (now.st_dev, now.st_ino) != (at_start.st_dev, at_start.st_ino):  # deployed anew
        return {}
    path = os.path.realpath(path)
    return version(path, since_ns) or {names.CODE_SHA256: sha256(path, since_ns)}


def version(path: str, since_ns: int) -> dict[str, object]:
    """Commit, branch and origin of the repository around the file; empty when there is none, or its HEAD moved meanwhile."""
    if sys.prefix != sys.base_prefix and path.startswith(sys.prefix + os.sep):  # installed: the repository around is another's
        return {}
    git = repository(os.path.dirname(path))
    own, common = git_folders(git) if git else ("", "")
    head = read(own + "/HEAD", unchanged_since=since_ns) if own else ""
    ref, commit = parse_head(head)
    if ref:
        commit = read("%s/%s" % (common, ref), unchanged_since=since_ns).strip()
        if not is_commit(commit) and not os.path.lexists("%s/%s" % (common, ref)):
            commit = packed_commit(read_bytes(common + "/packed-refs", _MOST_PACKED, since_ns), ref)
    if not is_commit(commit):
        return {}
    return {
        names.VCS_REVISION: commit,
        names.VCS_HEAD: ref[11:] if ref.startswith("refs/heads/") else None,
        names.VCS_URL: public_url(origin(read(common + "/config", 64 * 1024))) or None,
    }


def sha256(path: str, since_ns: int) -> str | None:
    """The hash of a small file, in hex; None for a large one, and where hashing would load OpenSSL."""
    content = read_bytes(path, _MOST_HASHED + 1, since_ns)
    if not 0 < len(content) <= _MOST_HASHED:
        return None
    try:
        module = sys.modules.get("hashlib") or __import__("_sha2" if sys.version_info >= (3, 12) else "_sha256")
    except ImportError:  # an interpreter that is built without
        return None
    return str(module.sha256(content).hexdigest())


def repository(folder: str) -> str:
    """The ``.git`` in that folder or in the nearest around it, on the same file system, as git looks for it; empty for none."""
    try:
        device = os.stat(folder).st_dev
        for _ in range(_LEVELS):
            git = os.path.join(folder, ".git")
            if os.path.lexists(git):
                return git
            folder, below = os.path.dirname(folder), folder
            if folder == below or os.stat(folder).st_dev != device:
                break
    except OSError:
        pass
    return ""


def git_folders(git: str) -> tuple[str, str]:
    """(where HEAD is, where branches are) of a ``.git``: one folder, but for worktrees; of submodules it is elsewhere."""
    if os.path.isdir(git):
        return git, git
    word, _, place = read(git).strip().partition(": ")
    if word != "gitdir":
        return "", ""
    own = os.path.join(os.path.dirname(git), place)
    return own, os.path.join(own, read(own + "/commondir").strip())


def parse_head(text: str) -> tuple[str, str]:
    """(ref, commit) of a HEAD: one of them is empty."""
    word, _, ref = text.strip().partition(": ")
    if word == "ref" and ref.startswith("refs/") and ".." not in ref:
        return ref, ""
    return "", word if is_commit(word) else ""


def packed_commit(packed: bytes, ref: str) -> str:
    """What a ``packed-refs`` says of a ref; empty when it does not."""
    at = packed.find(b" " + os.fsencode(ref) + b"\n")
    return packed[packed.rfind(b"\n", 0, at) + 1 : at].decode("ascii", "replace") if at > 0 else ""


def origin(config: str) -> str:
    """The address of the remote ``origin`` in a repository's ``config``; empty without one."""
    is_there = False
    for line in map(str.strip, config.splitlines()):
        if line.startswith("["):
            is_there = line == '[remote "origin"]'
        elif is_there:
            key, _, told = line.partition("=")
            if key.strip() == "url":
                return told.strip().strip('"')
    return ""


def public_url(address: str) -> str:
    """``git@host:owner/name.git`` -> ``ssh://host/owner/name``; no user, password and query; empty for a folder."""
    scheme, is_url, rest = address.partition("://")
    if not is_url:
        host, colon, path = address.partition(":")
        if not colon or "/" in host or len(host) < 2 or path.startswith("\\"):  # C:\ is no host
            return ""
        scheme, rest = "ssh", host + "/" + path.lstrip("/")
    if scheme not in ("https", "http", "ssh", "git"):
        return ""
    place = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    path = rest[len(place) :]
    if "@" in path:  # a password may have a slash
        return ""
    path = path.partition("?")[0].partition("#")[0].rstrip("/")
    return "%s://%s%s" % (scheme, place.rpartition("@")[2], path[:-4] if path.endswith(".git") else path)


def is_commit(text: str) -> bool:
    """Whether it is a full commit id, of SHA-1 or SHA-256."""
    return len(text) in (40, 64) and _HEX.issuperset(text)
