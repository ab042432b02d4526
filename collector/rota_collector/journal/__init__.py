"""The journal: raw requests, one after the other, on disk before anybody is told that they were accepted.

The acknowledgement of the whole collector lives here. One process writes (``Journal``), any process reads (``Reader``);
everything else (DuckDB, control) is a projection that can be made again from here.

An offset is a position in the endless concatenation of all segments. A segment is a file named by the offset of its first
byte; it ends where the next one begins, so that bytes beyond (of a write that failed) are never read. The bytes of a record
are in ``_records``, the system calls in ``_files``.
"""

from rota_collector._records import Record, Signal
from rota_collector.journal.extent import Extent
from rota_collector.journal.reader import Reader
from rota_collector.journal.writer import Journal

__all__ = ["Extent", "Journal", "Reader", "Record", "Signal"]
