"""The agent of all users: root opens one door for everybody, and touches nobody's files.

For each user who knocks, the porter forks an agent that becomes that user, and hands it the connection. All that reads, moves
or removes files is done by that process with that user's rights: whatever a path, a link or a rename may lead to, it leads to
nothing that the user could not reach alone. Forked and not executed, so that the key stays out of the user's sight.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  loaded while its file can be read: some users cannot. So is `shapes`
import json
import os
import selectors
import signal
import socket
import sys
import time
from typing import Callable

from rota.agent.become import BecomeError, become
from rota.agent.door import credentials, open_door
from rota.agent.handed import HandedDoor, hand_over
from rota.agent.loop import MOST_SPOOLS, Agent
from rota.agent.ship import Shipper
from rota.wire import shapes  # noqa: F401

_MOST_USERS = 64
_AGAIN_SECONDS = 5.0  # until an agent that died is started once more
_STOP_SECONDS = 6.0  # longer than an agent takes to send what is there
_LONGEST_WORD = 8192
_STOPPING = (signal.SIGTERM, signal.SIGINT)


class _Ward:
    """A user's agent, as the porter knows it."""

    def __init__(self, uid: int) -> None:
        self.uid, self.pid = uid, 0  # pid: until it is reaped
        self.channel: socket.socket | None = None
        self.spools: list[str] = []  # what it serves, to be told to its successor; never opened here
        self.retry_at = self.kill_at = 0.0


class Porter:
    """Serves every user at one door. Root, on Linux.

    Args:
        door_path: where to listen.
        memory_path: a file of root's, in which the spools served are remembered over a restart.
        report: takes one line of text for people.

    Raises:
        DoorError: nobody can listen there, or somebody does.
    """

    def __init__(self, door_path: str, memory_path: str, report: Callable[[str], None]) -> None:
        self._report, self._memory_path = report, memory_path
        self._door = open_door(door_path, mode=0o666)
        self._wake, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._door, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._wards: dict[int, _Ward] = {}
        self._is_stopping = False

    def run(self) -> None:
        """Serve until ``stop``; then let the agents send what is there, and return."""
        for uid, spools in _remembered(self._memory_path).items():
            ward = self._wards[uid] = _Ward(uid)
            ward.spools = spools
        while not self._is_stopping:
            for ward in self._wards.values():
                self._see_to(ward)
            for key, _ in self._selector.select(1.0):
                if isinstance(key.data, _Ward):
                    self._hear(key.data)
                elif key.fileobj is self._door:
                    self._accept_all()
        self._close()

    def stop(self) -> None:
        """End ``run``. Safe in a signal handler and from any thread."""
        self._is_stopping = True
        try:
            self._waker.send(b"x")
        except OSError:  # it has ended already
            pass

    def _accept_all(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._report("cannot accept a script's hello: %s" % error)
                return
            with connection:
                self._pass_on(connection, credentials(connection)[1])

    def _pass_on(self, connection: socket.socket, uid: int) -> None:
        """To the agent of who called, as the kernel says it."""
        if uid not in self._wards and len(self._wards) >= _MOST_USERS:
            self._report("more than %d users: uid %d is not served" % (_MOST_USERS, uid))
            return
        ward = self._wards.setdefault(uid, _Ward(uid))
        self._see_to(ward)
        if ward.channel is None or not hand_over(ward.channel, connection):
            self._report("the agent of uid %d does not take a hello now" % uid)

    def _see_to(self, ward: _Ward) -> None:
        """That it has an agent, but no second one beside one that still ends; never waits."""
        if ward.channel is None and _is_reaped(ward) and time.monotonic() >= ward.retry_at:
            ward.retry_at = time.monotonic() + _AGAIN_SECONDS
            try:
                self._start(ward)
            except OSError as error:
                self._report("cannot start an agent for uid %d: %s" % (ward.uid, error))

    def _start(self, ward: _Ward) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)  # our answer to them must not run in the child
            try:
                ward.pid = os.fork()
                if ward.pid == 0:
                    self._be_agent(ward, theirs.fileno())
            except OSError:
                ours.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        ours.setblocking(False)
        ward.channel = ours
        self._selector.register(ours, selectors.EVENT_READ, ward)

    def _be_agent(self, ward: _Ward, channel_fd: int) -> None:
        """In the child. Never returns: what would follow belongs to root. Of what it inherits it keeps one descriptor."""
        try:
            for number in _STOPPING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            os.closerange(3, channel_fd)
            os.closerange(channel_fd + 1, os.sysconf("SC_OPEN_MAX"))
            shipper = Shipper()  # reads the key, which the user may not be allowed to
            become(ward.uid)
            _serve(ward.spools, socket.socket(fileno=channel_fd), shipper, self._report)
            os._exit(0)
        except BecomeError as error:
            self._report(str(error))
        except BaseException as error:
            self._report("the agent of uid %d ends: %s: %s" % (ward.uid, type(error).__name__, error))
        finally:
            sys.stderr.flush()
            os._exit(1)

    def _hear(self, ward: _Ward) -> None:
        """What an agent says: a spool that it serves; or that it has ended. It is the user's, so it is believed little."""
        assert ward.channel is not None
        try:
            word = ward.channel.recv(_LONGEST_WORD).decode("utf-8", "surrogateescape")
        except BlockingIOError:
            return
        except OSError:
            word = ""
        if not word:
            self._bury(ward)
        elif os.path.isabs(word) and word not in ward.spools:
            ward.spools = [*ward.spools, word][-MOST_SPOOLS:]
            self._remember()

    def _bury(self, ward: _Ward) -> None:
        assert ward.channel is not None
        self._selector.unregister(ward.channel)
        ward.channel.close()
        ward.channel, ward.kill_at = None, time.monotonic() + _STOP_SECONDS
        self._report("the agent of uid %d ended; another is started" % ward.uid)

    def _remember(self) -> None:
        text = json.dumps({str(ward.uid): ward.spools for ward in self._wards.values() if ward.spools})
        try:
            fd = os.open(self._memory_path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "w", encoding="ascii") as file:
                file.write(text)
            os.replace(self._memory_path + ".new", self._memory_path)
        except OSError as error:
            self._report("cannot write %s: %s. After a restart, scripts are found when they start" % (self._memory_path, error))

    def _close(self) -> None:
        self._door.close()
        for ward in self._wards.values():
            if ward.channel is not None:
                self._selector.unregister(ward.channel)
                ward.channel.close()
                ward.kill_at = time.monotonic() + _STOP_SECONDS
        while not all(_is_reaped(ward) for ward in self._wards.values()):
            time.sleep(0.02)
        self._selector.close()
        self._wake.close()
        self._waker.close()


def _serve(spools: list[str], channel: socket.socket, shipper: Shipper, report: Callable[[str], None]) -> None:
    """Be a user's agent, until the porter is gone or a signal comes."""
    door = HandedDoor(channel)
    agent = Agent(door, shipper, report, spools=spools, on_spool=door.tell)
    for number in _STOPPING:
        signal.signal(number, lambda *_: agent.stop())
    agent.run()


def _is_reaped(ward: _Ward) -> bool:
    """Whether its last agent is gone; one that takes too long to end is killed. Its user may have stopped it: nobody waits."""
    if ward.pid and os.waitpid(ward.pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > ward.kill_at:
            os.kill(ward.pid, signal.SIGKILL)
        return False
    ward.pid = 0
    return True


def _remembered(path: str) -> dict[int, list[str]]:
    """Uid -> spools, as the porter before us wrote them."""
    try:
        with open(path, encoding="ascii") as file:
            found = json.load(file)
        return {int(uid): [str(spool) for spool in spools] for uid, spools in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
