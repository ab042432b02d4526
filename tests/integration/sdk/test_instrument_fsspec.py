"""Files that fsspec opens and moves, with the bytes that truly moved."""

from __future__ import annotations

from typing import Any

from library_calls import calls, run, written
from scripts import Outcome


def moved(outcome: Outcome) -> list[tuple[Any, ...]]:
    """What is told of each move: span, access, last part of the name, bytes, error."""
    assert "geheim" not in written(outcome)
    return [
        (
            span["name"].partition(" ")[2], a["rota.dataset.access"], a.get("rota.dataset.name", "").rpartition("/")[2],
            a.get("rota.dataset.bytes"), a.get("error.type"),
        )
        for span in outcome.spans
        if "rota.dataset.access" in (a := span["attributes"])
    ]  # fmt: skip


def test_fsspec_files(home, tmp_path) -> None:
    """A file is one span when it is closed, with the bytes that were read or written, in any order and by any method."""
    outcome = run(
        f"""
    import pickle
    import fsspec
    for folder in ("memory://shop", "file://" + {str(tmp_path)!r}):
        with fsspec.open(folder + "/a.txt", "wb") as file:
            assert file.write(b"geheim") == 6
            file.write(b"12\\n" * 1000)
            file.seek(0); file.write(b"G")
        with fsspec.open(folder + "/a.txt", "rb") as file:
            assert file.read(6) == b"Geheim"
            file.seek(1006); assert len(file.read(100)) == 100
            file.seek(-1, 2); assert file.read() == b"\\n"
        with fsspec.open(folder + "/a.txt", "rb") as file:
            assert sum(map(len, file)) == 3006
        with fsspec.open(folder + "/b.txt", "w") as file: file.write("ä" * 50)
        with fsspec.open(folder + "/b.txt", "r", encoding="utf-8") as file: assert file.readline() == "ä" * 50
        with fsspec.open(folder + "/b.txt", "ab") as file: file.write(b"geheim")
        with fsspec.open(folder + "/c.gz", "wb", compression="gzip") as file: file.write(b"geheim" * 1000)
        try: fsspec.open(folder + "/absent", "rb").open()
        except FileNotFoundError: pass
    print(fsspec.filesystem("memory").size("/shop/c.gz"))
    local = fsspec.filesystem("file")
    left = local.open({str(tmp_path / "a.txt")!r}); left.read(10)
    assert pickle.loads(pickle.dumps(left)).read(2) == left.read(2)
        """,
        home,
    )
    each = [
        ("open", "write", "a.txt", 3007, None), ("open", "read", "a.txt", 107, None), ("open", "read", "a.txt", 3006, None),
        ("open", "write", "b.txt", 100, None), ("open", "read", "b.txt", 100, None), ("open", "write", "b.txt", None, None),
        ("open", "read", "absent", None, "FileNotFoundError"),
    ]  # fmt: skip
    packed = [("open", "write", "c.gz", size, None) for size in (int(outcome.stdout), (tmp_path / "c.gz").stat().st_size)]
    told = moved(outcome)
    assert [told.pop(-3), told.pop(6)] == packed[::-1], "with a name in the header of the second"
    assert told == [*each, *each, ("open", "read", "a.txt", 12, None)]
    assert calls(outcome)[0]["rota.dataset.name"] == "memory:///shop/a.txt"


def test_fsspec_moves(home, tmp_path) -> None:
    """A method that moves whole files is one span with their bytes, and none for the files that it opens."""
    outcome = run(
        f"""
    import fsspec
    memory = fsspec.filesystem("memory")
    memory.pipe("/a.txt", b"geheim" * 10)
    memory.pipe({{"/b.txt": b"12", "/c.txt": b"345"}})
    assert memory.cat("/a.txt") == b"geheim" * 10 and len(memory.cat(["/b.txt", "/c.txt"])) == 2
    memory.get("/a.txt", {str(tmp_path / "down.txt")!r})
    memory.put({str(tmp_path / "down.txt")!r}, "/up.txt")
    assert memory.cat("/up.txt") == b"geheim" * 10
    try: memory.cat("/absent")
    except FileNotFoundError: pass
        """,
        home,
    )
    assert moved(outcome) == [
        ("pipe", "write", "a.txt", 60, None), ("pipe", "write", "", 5, None), ("cat", "read", "a.txt", 60, None),
        ("cat", "read", "", 5, None), ("get", "read", "a.txt", 60, None), ("put", "write", "up.txt", 60, None),
        ("cat", "read", "up.txt", 60, None), ("cat", "read", "absent", None, "FileNotFoundError"),
    ]  # fmt: skip


def test_fsspec_files_that_are_buffered(home) -> None:
    """A file of fsspec's buffered class, as remote filesystems have: what it reads ahead counts once, a failing close is told."""
    outcome = run(
        """
    import fsspec
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
    class Remote(AbstractFileSystem):
        protocol = "remote"
        def info(self, path, **_): return {"name": path, "size": 3000, "type": "file"}
        def _open(self, path, mode="rb", block_size=None, **options): return File(self, path, mode, 500, **options)
    class File(AbstractBufferedFile):
        def _fetch_range(self, start, end): return (b"12\\n" * 1000)[start:end]
        def _upload_chunk(self, final=False): raise OSError("geheim")
    with Remote().open("x", "rb") as file:
        assert [file.readline() for _ in range(10)] == [b"12\\n"] * 10
        file.seek(2000); assert len(file.read(70)) == 70
    try:
        with Remote().open("y", "wb") as file: file.write(b"12345")
    except OSError: pass
        """,
        home,
    )
    assert moved(outcome) == [("open", "read", "x", 100, None), ("open", "write", "y", 5, "OSError")]
