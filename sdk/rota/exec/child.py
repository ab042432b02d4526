"""The command: started as if it were started without us, awaited without being touched, signals passed on.

``_signal`` is ``signal`` without its enums, whose import costs 3 ms.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import os
import resource  # noqa: F401  `os.wait4` loads it, which must not fail for want of a descriptor once the command runs
from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping, NoReturn

    Environment = Mapping[bytes, bytes]

NOT_EXECUTABLE, NOT_FOUND = 126, 127
LONGEST_PAUSE_SECONDS = 300.0
KILL_AFTER_SECONDS = 10.0  # how long a command has, once its time is over, to end by itself
_LOOK_SECONDS = 0.02
_ENDING = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT")  # by which people end a command
# Python ignores them: not our user's wish.
REMADE = [getattr(_signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(_signal, name)]
_OURS = (  # meant for us alone, or raised by what we do ourselves: a closed connection, a full quota
    "SIGKILL", "SIGSTOP", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGABRT", "SIGPIPE", "SIGXFSZ",
    "SIGXCPU", "SIGPROF", "SIGVTALRM",
)  # fmt: skip
STOPS = ("SIGTSTP", "SIGTTIN", "SIGTTOU")
# Sent by the kernel to the whole foreground group.
OF_TERMINALS = (*STOPS, "SIGINT", "SIGQUIT", "SIGHUP", "SIGWINCH", "SIGCONT")
SI_KERNEL = 0x80


def numbers(names: Iterable[str]) -> set[int]:
    """Of the signals with these names, those that there are here."""
    return {getattr(_signal, name) for name in names if hasattr(_signal, name)}


class Signals:
    """Signals that come to us, from now on held until ``Child.wait`` passes them on. The command gets the mask we began with."""

    def __init__(self) -> None:
        self.held = set(_signal.valid_signals()) - numbers(_OURS)
        self.before = _signal.pthread_sigmask(_signal.SIG_BLOCK, self.held)
        self.typed: set[int] = set()  # what somebody typed at the terminal
        self.passed_on: set[int] = set()
        self.ignores_children = _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN
        if self.ignores_children:  # nobody would be told how the command ended (`timeout` does so too)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)

    @property
    def asked_to_end(self) -> bool:
        """Whether somebody wanted the command to end, whatever it made of that."""
        came = (self.typed | self.passed_on) & numbers(_ENDING)
        return any(_signal.getsignal(number) != _signal.SIG_IGN for number in came)

    def restore(self) -> None:
        """As we were started."""
        if self.ignores_children:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self.before)


class Child:
    """The running command. ``leads_group``: what it starts is a process group of its own, and signalled as one."""

    def __init__(self, pid: int, signals: Signals, leads_group: bool = False) -> None:
        self.pid, self._signals, self._leads_group = pid, signals, leads_group
        self.has_overrun = False  # its time was over, and it was told so

    def wait(self, idle: Callable[[], None], limit_seconds: float | None = None) -> tuple[int, Any]:
        """(wait status, resource use) once it has ended. ``idle`` is called now and then meanwhile, ever more seldom.

        After ``limit_seconds`` it is sent TERM, ten seconds later KILL.
        """
        if hasattr(_signal, "sigtimedwait"):
            return self._wait_with_senders(idle, float("inf") if limit_seconds is None else monotonic() + limit_seconds)
        return self._wait_with_handlers(limit_seconds)

    def clear(self) -> None:
        """After an overrun: wait for what is left of its group, and end it in ten seconds, too."""
        if not self._leads_group:
            return
        give_up_at = monotonic() + KILL_AFTER_SECONDS
        while self._send(0) and monotonic() < give_up_at:
            sleep(_LOOK_SECONDS)
            bury_orphans()
        self._send(_signal.SIGKILL)

    def _wait_with_senders(self, idle: Callable[[], None], over_at: float) -> tuple[int, Any]:
        """Where the system tells who sent a signal: what the terminal sent has reached the command already."""
        pause_seconds = 1.0
        while True:
            if monotonic() >= over_at:
                self._overrun()
                over_at = monotonic() + KILL_AFTER_SECONDS
            told = _signal.sigtimedwait(self._signals.held, min(pause_seconds, max(0.0, over_at - monotonic())))
            if told is None:
                idle()
                pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
            elif told.si_signo == _signal.SIGCHLD:
                ended = self._reap()
                if ended is not None:
                    return ended
            elif told.si_code == SI_KERNEL and told.si_signo in numbers(OF_TERMINALS):
                self._signals.typed.add(told.si_signo)
            elif told.si_pid != self.pid:  # a script's own `kill 0` has reached it
                self._pass_on(told.si_signo)

    def _reap(self) -> tuple[int, Any] | None:
        """Look at every child that has a word: as process 1 of a container we also bury orphans."""
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return None
            if pid == self.pid and os.WIFSTOPPED(status):
                stop_too()
            elif pid == self.pid:
                return status, usage

    def _wait_with_handlers(self, limit_seconds: float | None) -> tuple[int, Any]:
        """Elsewhere: in a terminal's foreground, what a terminal can send is taken to be from there. It stops us by itself."""
        relayed = self._signals.held - numbers((*STOPS, "SIGCONT", "SIGCHLD"))
        for number in relayed:
            if _signal.getsignal(number) != _signal.SIG_IGN:
                _signal.signal(number, self._on_signal)
        if limit_seconds is not None:
            _signal.signal(_signal.SIGALRM, lambda *_: self._overrun())
            _signal.setitimer(_signal.ITIMER_REAL, max(limit_seconds, _LOOK_SECONDS), KILL_AFTER_SECONDS)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, self._signals.held)
        _, status, usage = os.wait4(self.pid, 0)
        if limit_seconds is not None:
            _signal.setitimer(_signal.ITIMER_REAL, 0)
        _signal.pthread_sigmask(_signal.SIG_BLOCK, self._signals.held)
        return status, usage

    def _on_signal(self, number: int, _frame: object) -> None:
        if number in numbers(OF_TERMINALS) and is_in_foreground():
            self._signals.typed.add(number)
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        self._signals.passed_on.add(number)
        self._send(number)

    def _overrun(self) -> None:
        """Its time is over: ask it to end; the next time, end it."""
        self._send(_signal.SIGKILL if self.has_overrun else _signal.SIGTERM)
        self.has_overrun = True

    def _send(self, number: int) -> bool:
        """Whether anybody got it."""
        try:
            os.kill(-self.pid if self._leads_group else self.pid, number)  # never another process's pid: only we reap it
        except OSError:  # it is another user's, as under sudo
            return False
        return True


def start(
    command: list[str], environment: Environment, signals: Signals, redirections: list[tuple[int, int]], leads_group: bool = False
) -> Child:  # fmt: skip
    """Start it with our descriptors, group, limits and folder, and with the signals that we were started with.

    ``redirections``: (our descriptor, its descriptor). ``leads_group``: in a process group of its own. Raises OSError as
    ``execve`` would.
    """
    actions = [(os.POSIX_SPAWN_DUP2, ours, its) for ours, its in redirections]
    more: dict[str, Any] = {"setpgroup": 0} if leads_group else {}

    def spawn(words: list[str]) -> int:
        return os.posix_spawnp(
            words[0], words, environment, file_actions=actions, setsigmask=signals.before, setsigdef=REMADE, **more
        )

    try:
        return Child(spawn(_with_its_sockets(command, environment)), signals, leads_group)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        return Child(spawn(_as_script(command, environment)), signals, leads_group)


def become(command: list[str], environment: Environment, signals: Signals | None = None) -> NoReturn:
    """Be the command, unobserved: it gets this very process. Ends with 126 or 127 and a line when it cannot be run."""
    for number in REMADE:
        _signal.signal(number, _signal.SIG_DFL)
    if signals:
        signals.restore()
    try:
        try:
            os.execvpe(command[0], command, environment)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            script = _as_script(command, environment)
            os.execve(script[0], script, environment)
    except OSError as error:
        code, text = refusal(command[0], error)
        say(text)
        os._exit(code)


def refusal(name: str, error: OSError) -> tuple[int, str]:
    """(exit status, line) for a command that cannot be run, as a shell has them."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return NOT_FOUND, "%s: not found" % name
    return NOT_EXECUTABLE, "%s: %s" % (name, os.strerror(error.errno or 0))


def say(text: str) -> None:
    """One line on standard error, if there is one."""
    try:
        os.write(2, ("rota exec: %s\n" % text).encode("utf-8", "surrogateescape"))
    except OSError:
        pass


def environment_at_start() -> dict[bytes, bytes]:
    """The environment that we were given: in the C locale CPython puts LC_CTYPE into it for its own use (PEP 538)."""
    found = dict(os.environb)
    if found.get(b"LC_CTYPE", b"").upper().replace(b"-", b"") in (b"C.UTF8", b"UTF8"):
        given = _given_lc_ctype(found)
        if given is None:
            del found[b"LC_CTYPE"]
        else:
            found[b"LC_CTYPE"] = given
    return found


def keep_standard_numbers() -> None:
    """Let no file of ours get the number of a standard stream that is closed; the command finds it closed nevertheless."""
    number = 0
    while number <= 2:
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


def let_go(kept: Iterable[int] = ()) -> None:
    """Close what we were given and have no use for: only the command's end closes its pipes and frees its locks."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in _open_descriptors():
        try:
            if number not in kept and os.get_inheritable(number):
                if number <= 2:
                    os.dup2(null, number, inheritable=False)
                else:
                    os.close(number)
        except OSError:  # it was the listing's own
            continue
    os.close(null)


def bury_orphans() -> None:
    """When the command has ended: as process 1 of a container we have children that are not ours."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def has_terminal() -> bool:
    """Whether we belong to a terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def stop_too() -> None:
    """The command was stopped: so that a terminal's shell sees its job stopped, stop until somebody continues us."""
    if not has_terminal():  # no job control: whoever continues the command would not know of us
        return
    os.kill(os.getpid(), _signal.SIGTSTP)  # held, and one with what the terminal may have sent; taken below
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (_signal.SIGTSTP,))
    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTSTP,))


def _with_its_sockets(command: list[str], environment: Environment) -> list[str]:
    """systemd hands sockets to one process, by its pid; that is to be the command's."""
    if environment.get(b"LISTEN_PID") != b"%d" % os.getpid():
        return command
    return ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]


def _as_script(command: list[str], environment: Environment) -> list[str]:
    """A file without ``#!``, as a shell runs it."""
    folders = [""] if "/" in command[0] else [os.fsdecode(path) for path in os.get_exec_path(environment)]  # type: ignore[arg-type]
    paths = [os.path.join(folder, command[0]) for folder in folders]
    return ["/bin/sh", next((path for path in paths if os.access(path, os.X_OK)), command[0]), *command[1:]]


def _given_lc_ctype(found: Environment) -> bytes | None:
    try:
        with open("/proc/self/environ", "rb") as file:
            given = [entry[9:] for entry in file.read().split(b"\0") if entry.startswith(b"LC_CTYPE=")]
        return given[0] if given else None
    except OSError:  # a system that does not tell: it was CPython when nothing else chose a locale
        chosen = found.get(b"LC_ALL") or found.get(b"LANG") or b"C"
        return None if chosen in (b"C", b"POSIX") else found[b"LC_CTYPE"]


def _open_descriptors() -> list[int]:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return [int(name) for name in os.listdir(folder)]
        except (OSError, ValueError):
            continue
    return list(range(256))


def is_in_foreground() -> bool:
    """Whether what is typed at our terminal is for us."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
