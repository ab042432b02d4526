"""How far each file was shipped. In memory only: after a restart, what was not removed is sent again and deduplicated."""

from __future__ import annotations

from typing import Iterable

from rota.agent.spool import unrotated


class Progress:
    """Offsets by file. A file is its name and inode, and when it is rotated away its inode alone."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}  # name -> inode, offset
        self._moved: dict[tuple[str, int], int] = {}  # name and inode of a file that another has replaced -> offset

    def offset(self, name: str, inode: int) -> int:
        """Where to go on; 0 in a file not seen yet."""
        for candidate in (name, unrotated(name)):
            known_inode, offset = self._known.get(candidate, (0, 0))
            if known_inode == inode:
                return offset
        return self._moved.get((unrotated(name), inode), 0)

    def advance(self, name: str, inode: int, offset: int) -> None:
        """Everything before ``offset`` was acknowledged."""
        old_inode, old_offset = self._known.get(name, (inode, 0))
        if old_inode != inode:
            self._moved[name, old_inode] = old_offset
        self._known[name] = (inode, offset)

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget files that are gone: their inodes will be used again."""
        present = set(names)
        self._known = {name: value for name, value in self._known.items() if name in present}
        self._moved = {key: value for key, value in self._moved.items() if key[0] in present}
