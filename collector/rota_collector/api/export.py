"""A snapshot of telemetry, sent as it is made: a tar of files, which goes through any proxy and to any place."""

from __future__ import annotations

import json
import queue
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from rota_collector.api import access
from rota_collector.api.envelope import ApiError
from rota_collector.api.parameters import Time, name_or_pattern, ns
from rota_collector.api.stores import Stores
from rota_collector.api.streamed import Streamed
from rota_collector.store import exports

MANIFEST = "manifest.json"  # the last file: without it the export was cut off
_TAR = "application/x-tar"
_PIECE_BYTES = 1 << 20
_SPARE_BYTES = 1 << 30  # of the disk, which the journal needs more
_TURN_SECONDS = 1.0  # in which an export that was read to its end puts its files away
_FORMATS = {"parquet": exports.parquet, "duckdb": exports.database}


class Export(BaseModel):
    """What to export."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["parquet", "duckdb"] = "parquet"
    since: Time | None = None
    until: Time | None = None
    workflow: Annotated[str | None, Field(description="a name, or a pattern with `*` and `?`")] = None


def router(stores: Stores) -> APIRouter:
    """``/api/v1/export``."""
    router = APIRouter(prefix="/api/v1/export", tags=["sql"])
    turn = threading.Lock()
    shutil.rmtree(stores.exports, ignore_errors=True)  # of a process that was killed

    @router.post("", response_class=StreamingResponse, responses={200: {"content": {_TAR: {}}}}, dependencies=[access.read])
    def export(body: Export) -> Response:
        """Spans, logs, metrics and run events of one moment, with the views on them, as a tar of Parquet files or of one DuckDB
        file. The last file in it is `manifest.json`. Who closes the connection ends the export.
        """
        part = exports.Part(ns(body.since), ns(body.until), *name_or_pattern(body.workflow))
        _refuse_without_space(stores.exports.parent)
        if not turn.acquire(timeout=_TURN_SECONDS):
            raise ApiError(503, "busy", "another export is under way", "wait for it to end, and send it again")
        making = _Making(stores, body.format, part, turn)
        return Streamed(_tar(making, body), _TAR, making.end, {})

    return router


def _refuse_without_space(home: Path) -> None:
    needed = (home / exports.DATABASE).stat().st_size + _SPARE_BYTES if (home / exports.DATABASE).exists() else 0
    free = shutil.disk_usage(home).free
    if free < needed:
        message = f"an export may need {needed >> 20} MB beside the database, and the disk has {free >> 20} MB left"
        raise ApiError(507, "no_space", message, "export less at once: since, until, workflow")


class _Making(threading.Thread):
    """Makes the files of an export; ``files`` has each when it is whole, then None, or what went wrong."""

    def __init__(self, stores: Stores, kind: str, part: exports.Part, turn: threading.Lock) -> None:
        super().__init__(name="rota-export", daemon=True)
        self._stores, self._kind, self._part, self._turn = stores, kind, part, turn
        self.files: queue.SimpleQueue[Path | Exception | None] = queue.SimpleQueue()
        self._over = threading.Event()  # nobody reads the files any more
        self.start()

    def end(self) -> None:
        """The files are sent, or not wanted any more."""
        self._over.set()
        self.files.put(None)  # for who still waits for one

    def run(self) -> None:
        """In one transaction; the folder goes when the files are sent, or when nobody wants them any more."""
        try:
            self._stores.exports.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._stores.exports) as folder:
                self._make(Path(folder))
                self._over.wait()
        except OSError as error:
            self.files.put(error)
        finally:
            self._turn.release()

    def _make(self, folder: Path) -> None:
        try:
            with self._stores.telemetry.reader() as cursor:
                for path in _FORMATS[self._kind](cursor, self._part, folder):
                    self.files.put(path)
                    if self._over.is_set():
                        break
            self.files.put(None)
        except Exception as error:  # noqa: BLE001 (whoever waits for the files hears of it)
            self.files.put(error)


def _tar(making: _Making, asked: Export) -> Iterator[bytes]:
    """The tar, a piece at a time."""
    names: list[str] = []
    while (path := making.files.get()) is not None:
        if isinstance(path, Exception):
            raise path
        names.append(path.name)
        yield from _member(path)
        path.unlink()
    manifest = {**asked.model_dump(mode="json"), "files": names}
    yield from _bytes_member(MANIFEST, json.dumps(manifest, indent=2).encode())
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    yield _head(path.name, size)
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)


def _bytes_member(name: str, content: bytes) -> Iterator[bytes]:
    yield _head(name, len(content)) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _head(name: str, size: int) -> bytes:
    member: Any = tarfile.TarInfo(name)
    member.size = size
    return bytes(member.tobuf(tarfile.PAX_FORMAT))
