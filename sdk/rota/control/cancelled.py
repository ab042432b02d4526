"""Without an agent, a run under rules that may cancel it listens itself, in a thread: nobody else on its host would hear of it.

What then ends the process is SIGTERM, as an agent would send it. Where that ends it at once, the run says before that it
was cancelled.
"""

from __future__ import annotations

import os
import signal
import threading
import time

from rota._forward import AgentCarrier
from rota._guard import guarded
from rota.control.client import Client
from rota.rules import inflight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from rota._run import Run

_PATH = "/api/v1/news"
_HELD_SECONDS, _LATE_SECONDS = 20.0, 5.0
_AWAY_SECONDS = 5.0  # between two questions while nobody answers
_EXIT_CODE = 143  # as a shell tells SIGTERM


def listen(run: Run, document: Mapping[str, Any], say: Callable[[Run, str], None] | None = None) -> bool:
    """Have the run ended once it is cancelled. False: no rule may do that, or an agent hears of it.

    Args:
        say: tells the run's end before SIGTERM is sent; None: whoever runs the command does.
    """
    may_cancel = any(rule.action.name == inflight.CANCEL for rule in inflight.of(document))
    if not may_cancel or isinstance(run.owner.carrier, AgentCarrier):
        return False
    client = Client(run.owner.home, sockets=())
    threading.Thread(target=guarded(_wait), args=(run, client, say), name="rota-cancel", daemon=True).start()
    return True


def say_cancelled(run: Run, reason: str) -> None:
    """The last state of a process that SIGTERM ends at once; who handles it ends as it likes, and says so itself."""
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        run.finish("cancelled", _EXIT_CODE, reason)
        run.owner.end()


def _wait(run: Run, client: Client, say: Callable[[Run, str], None] | None) -> None:
    question = {"run_ids": [run.run_id], "wait_seconds": _HELD_SECONDS}
    while not run.is_over:
        try:
            cancels = client.post(_PATH, question, _HELD_SECONDS + _LATE_SECONDS)["cancels"]
        except (OSError, ValueError, KeyError):
            cancels = []
            time.sleep(_AWAY_SECONDS)
        if cancels and not run.is_over:
            if say is not None:
                say(run, str(cancels[0]["reason"]))
            os.kill(os.getpid(), signal.SIGTERM)
            return
