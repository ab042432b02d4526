"""What people type: times, durations; and who they are."""

from __future__ import annotations

from rota.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from datetime import datetime


def iso_time(text: str) -> datetime:
    """A time as ISO 8601 writes it; without a zone that is local time. Raises ValueError."""
    from datetime import datetime

    return datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def time_of(text: str | None) -> str | None:
    """A time of the API for an ISO time. Raises UsageError."""
    if text is None:
        return None
    from datetime import timezone

    try:
        return iso_time(text).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    except ValueError:
        raise UsageError("%r is no time. Examples: 2026-01-31T02:00, 2026-01-31T02:00Z" % text) from None


def seconds_of(text: str | None) -> float | None:
    """A duration in seconds. Raises UsageError."""
    if text is None:
        return None
    from rota.rules.durations import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def add_end(parser: ArgumentParser, *, required: bool = False) -> None:
    """Add the two ways to say when something ends; ``end_of`` reads them."""
    end = parser.add_mutually_exclusive_group(required=required)
    end.add_argument("--for", dest="lasts", metavar="DURATION", help="for so long: 90m, 2h, 3d")
    end.add_argument("--until", metavar="TIME", help="until then: 2026-01-31T02:00 (local time), 2026-01-31T02:00Z")


def end_of(args: Namespace) -> dict[str, object]:
    """The end as the API takes it."""
    return {"seconds": seconds_of(args.lasts), "until": time_of(args.until)}


def who() -> str:
    """Whose record a change is: ``user@host``."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name
        user = "somebody"
    return "%s@%s" % (user, socket.gethostname())
