"""``python -P -m rota_collector.notify``: the process that sends. Requests as JSON lines on stdin, outcomes on stdout.

It is started by the collector and ends with it: when stdin closes. Every request has a thread, so none waits for another.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from rota_collector.notify import guard, urls
from rota_collector.notify.outcome import LATER, NEVER, SENT, Outcome

THREADS = 128  # a channel has one message under way at a time

_writing = threading.Lock()


def main() -> None:
    """Serve until stdin closes; whatever is under way then is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the collector, which finishes first
    asked, answers = _take_pipes()
    allow_private = os.environ.get(guard.SETTING) == "1"
    guard.install(allow_private=allow_private)
    from rota_collector.notify import webhook  # noqa: F401 (costs more than sending: before the first message, not with it)

    threads = ThreadPoolExecutor(THREADS)
    for line in asked:
        threads.submit(_serve, json.loads(line), allow_private, answers)
    os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our ends of the pipes, where no print() and no input() of a plugin gets at them."""
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return asked, answers


def _serve(request: dict[str, Any], allow_private: bool, answers: BinaryIO) -> None:
    guard.last_refusal()  # of what this thread did before
    try:
        outcome = _send(request) if request["do"] == "send" else _check(request, allow_private)
    except Exception as error:  # noqa: BLE001 (a plugin may raise anything; the message waits)
        outcome = Outcome(LATER, guard.last_refusal() or f"{type(error).__name__} in the channel's code")
    with _writing:
        answers.write(json.dumps([request["number"], *outcome]).encode() + b"\n")


def _send(request: dict[str, Any]) -> Outcome:
    if request["kind"] == "webhook":
        from rota_collector.notify import webhook

        return webhook.send(request["url"], request["secret"], request["id"], request["payload"])
    from rota_collector.notify import apprise_channel

    return apprise_channel.send(request["url"], request["title"], request["text"], request["payload"])


def _check(request: dict[str, Any], allow_private: bool) -> Outcome:
    url = request["url"]
    why = urls.why_not(url, allow_private=allow_private)
    if why is not None:
        return Outcome(NEVER, why)
    if request["kind"] == "webhook":
        return Outcome(SENT, urls.shown(url))
    from rota_collector.notify import apprise_channel

    return apprise_channel.check(url)


if __name__ == "__main__":
    main()
