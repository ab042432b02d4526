"""smtplib: a span a message, with its size and the number of its recipients; nobody's address."""

from __future__ import annotations

from rota.instrument import _patch
from rota.instrument._call import Call, Label, Labels, begin
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rota._run import Run
    from rota._task import Task


def install(module: ModuleType) -> None:
    """Watch ``SMTP.sendmail``, through which ``send_message`` goes too."""
    _patch.observe(module.SMTP, "sendmail", _start, _finish)


def _start(place: Run | Task, self: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    recipients = args[1] if len(args) > 1 else kwargs.get("to_addrs")
    message = args[2] if len(args) > 2 else kwargs.get("msg")
    call = begin(_LABELS[_server(self)], place, Call)
    if call is not None:
        call.facts = {names.MAIL_RECIPIENTS: _number(recipients), names.MAIL_BYTES: _size(message)}
    return call


def _finish(call: Call, refused: Any) -> None:
    call.facts = {**(call.facts or {}), names.MAIL_REFUSED: len(refused) or None}
    call.finish()


def _server(connection: Any) -> str | None:
    name = getattr(connection, "_host", None)
    return name if isinstance(name, str) and name else None


def _number(recipients: object) -> int | None:
    return 1 if isinstance(recipients, str) else len(recipients) if isinstance(recipients, (list, tuple, set)) else None


def _size(message: object) -> int | None:
    """Bytes as sent: smtplib ends every line of a text with CR LF."""
    if isinstance(message, bytes):
        return len(message)
    return len(message.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")) if isinstance(message, str) else None


_LABELS = Labels(lambda server: Label("smtplib", "smtp send", {names.SERVER_ADDRESS: server}))
