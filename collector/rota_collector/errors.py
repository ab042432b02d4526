"""Everything the collector raises on purpose.

CollectorError
 ├── StartError              the collector cannot start; exit status 1
 │    ├── ConfigError        a setting that cannot be used
 │    ├── HomeLocked         another collector works in this home
 │    └── PortBusy           somebody else listens where it should
 ├── JournalError            the raw log of requests
 │    ├── JournalFull        no space left, or too much waits for the disk: try again later
 │    ├── JournalFailed      the disk refused a write or a sync: nothing of it was acknowledged
 │    ├── JournalClosed      the collector is stopping
 │    └── JournalLocked      another process writes this journal
 ├── Malformed               a body that is not what its content type says
 ├── StoreError              a database of the collector
 │    ├── StoreLocked        another process has the database open
 │    ├── StoreNewer         a newer version of rota wrote it
 │    └── CopyFailed         a copy of it could not be made, or is not what it should be
 ├── ChannelError            an alert or its channel
 │    ├── ChannelExists      there is a channel of that name already
 │    └── ChannelRefused     its address cannot be used
 ├── Refused                 a request that its sender may not make
 │    ├── NoKey              it came without a valid key
 │    ├── NotAllowed         its key is not for that
 │    └── TooOften           its key asks too often
 ├── AdmissionError          a question about permission that cannot be answered
 │    ├── InFlight           the same request is being answered
 │    ├── KeyReused          its idempotency key came with another request before
 │    └── ForeignTicket      its ticket, or its run, is of another question
 ├── PolicyChanged           somebody else stored a policy after it was read
 ├── KeyRefused              a key that cannot be made or revoked now
 │    ├── AdminFirst         with any other key, nobody could make or revoke keys
 │    └── LastAdmin          without it, nobody could revoke the keys that are left
 └── QueryError              a query sent by a user
      ├── BadCursor          a page cursor that this collector did not make
      ├── QueryRefused       not exactly one SELECT, or it reaches outside the database
      ├── QueryFailed        the database could not run it
      ├── QueryTimeout       it ran longer than allowed
      ├── QueryTooLarge      it needs more memory, or temporary disk, than allowed
      └── QueryBusy          as many as may are running already
"""

from __future__ import annotations


class CollectorError(Exception):
    """Base of everything the collector raises on purpose."""


class StartError(CollectorError):
    """The collector cannot start. The message is for the person who started it."""


class ConfigError(StartError):
    """A setting that cannot be used."""


class HomeLocked(StartError):
    """Another collector works in this home."""


class PortBusy(StartError):
    """Somebody else listens on the address, or it cannot be listened on at all."""


class JournalError(CollectorError):
    """The journal could not do what was asked."""


class JournalFull(JournalError):
    """No space left on the device, or more bytes wait for the disk than the journal holds. Nothing was kept; retry later."""


class JournalFailed(JournalError):
    """The disk refused a write or a sync. What waited was not acknowledged and may be sent again."""


class JournalClosed(JournalError):
    """The journal takes no more records."""


class JournalLocked(JournalError):
    """Another process writes this journal."""


class Malformed(CollectorError):
    """A request body that cannot be decoded. ``field`` says where, when that is known."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class StoreError(CollectorError):
    """A database of the collector could not be used."""


class StoreLocked(StoreError):
    """Another process has the database open."""


class StoreNewer(StoreError):
    """A newer version of rota wrote the database. It is left as it is."""


class CopyFailed(StoreError):
    """A copy of the databases could not be made, or does not hold what it should. There is none, then."""


class ChannelError(CollectorError):
    """Something about an alert or its channel."""


class ChannelExists(ChannelError):
    """There is a channel of that name already."""


class ChannelRefused(ChannelError):
    """The address of a channel cannot be used. The message says why, without its passwords."""


class Refused(CollectorError):
    """A request that its sender may not make."""


class NoKey(Refused):
    """It came without a key, or with one that is not valid."""


class NotAllowed(Refused):
    """Its key is not for that."""


class TooOften(Refused):
    """Its key asks more often than it may. ``retry_seconds``: when to ask again."""

    def __init__(self, message: str, retry_seconds: int) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


class AdmissionError(CollectorError):
    """A question about permission that cannot be answered as it was asked."""


class InFlight(AdmissionError):
    """A request with the same idempotency key is being answered. It may be sent again later."""


class KeyReused(AdmissionError):
    """An idempotency key that came with another request before."""


class ForeignTicket(AdmissionError):
    """A ticket, or a run, that belongs to another question than this one."""


class PolicyChanged(CollectorError):
    """Somebody else stored that policy after who stores it now had read it: its ``version``, ``author`` and Unix time in ns."""

    def __init__(self, workflow: str, version: int, author: str, created_ns: int) -> None:
        super().__init__(f"{workflow} is at version {version} by {author}")
        self.workflow, self.version, self.author, self.created_ns = workflow, version, author, created_ns


class KeyRefused(CollectorError):
    """A key that cannot be made or revoked as long as the other keys are what they are."""


class AdminFirst(KeyRefused):
    """There is no admin key yet, and another one for the API was asked for."""


class LastAdmin(KeyRefused):
    """The last admin key, while there are others that only an admin could revoke. The message names them."""


class QueryError(CollectorError):
    """A query sent by a user was not answered."""


class BadCursor(QueryError):
    """A page cursor that this collector did not make."""


class QueryRefused(QueryError):
    """The query is not exactly one SELECT, or reaches outside the database."""


class QueryFailed(QueryError):
    """The database could not run the query: it does not parse, or names something that is not there."""


class QueryTimeout(QueryError):
    """The query ran longer than allowed and was interrupted."""


class QueryTooLarge(QueryError):
    """The query needs more memory, or temporary disk, than allowed and was ended."""


class QueryBusy(QueryError):
    """As many queries as may are running already. It may be sent again."""
