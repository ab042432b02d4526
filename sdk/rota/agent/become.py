"""Become another user, for good, in a forked child: the kernel then sees to it that nothing of anybody else is touched."""

from __future__ import annotations

import ctypes
import os
import pwd

from rota.errors import RotaError

_PR_SET_DUMPABLE = 4
_NO_GROUP = 65534


class BecomeError(RotaError):
    """This process could not become that user, and must not go on."""


def become(uid: int) -> None:
    """Give up every other right. The memory, with the key to the collector in it, stays hidden from that user.

    Raises:
        BecomeError: it did not work, whole. End the process.
    """
    try:
        name, gid = _name_and_group(uid)
        if uid != 0:
            os.setgroups(os.getgrouplist(name, gid) if name else [gid])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        _hide_memory()
    except OSError as error:
        raise BecomeError("cannot become uid %d: %s" % (uid, error)) from error
    if os.getresuid() != (uid, uid, uid) or (uid != 0 and _can_be_root()):
        raise BecomeError("did not become uid %d, but %r" % (uid, os.getresuid()))


def _name_and_group(uid: int) -> tuple[str, int]:
    """Empty, and nobody's group, for a user that nobody entered anywhere: a container's."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return "", _NO_GROUP  # not the group of the same number: on this machine that may be one with powers
    return entry.pw_name, entry.pw_gid


def _hide_memory() -> None:
    """Not for a debugger of the same user, not for /proc, not in a core: no exec may follow, it would undo this."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _can_be_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True
