"""What a cell's process finds around it: a collector, an agent, and servers with something wrong at them."""

from __future__ import annotations

import contextlib
import platform
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from collectors import CollectorProcess, until
from servers import clean_environment, rota

GARBAGE = b"\x00\xff nonsense\r\n\r\n"


class Surroundings:
    """One collector, and all that stands before it or in its place. A value of ``matrix.toml``'s collectors is an environment."""

    def __init__(self, folder: Path, collector: CollectorProcess, opened: contextlib.ExitStack) -> None:
        self._folder, self._opened = folder, opened
        self.collector = collector
        self._agent = folder / "agent.sock"
        certificate, key = _certificate(folder)
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(certificate, key)
        host, _, port = collector.addresses["http"].partition(":")
        tls = self._serve(lambda caller: _pass_on(secure, caller, (host, int(port))))
        closed = socket.create_server(("127.0.0.1", 0))
        self._endpoints: dict[str, dict[str, str]] = {
            "agent": {"ROTA_AGENT": str(self._agent), "ROTA_ENDPOINT": "http://127.0.0.1:9"},
            "up": {"ROTA_ENDPOINT": collector.url},
            "closed": {"ROTA_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"},
            "silent": {"ROTA_ENDPOINT": self._serve(lambda caller: caller.recv(1) and threading.Event().wait(60))},
            "garbage": {"ROTA_ENDPOINT": self._serve(lambda caller: caller.recv(65536) and caller.sendall(GARBAGE))},
            "tls": {
                "ROTA_ENDPOINT": tls.replace("http://127.0.0.1", "https://localhost"),
                "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificate),
                "ROTA_DETACH": "on",
            },
            "dns": {"ROTA_ENDPOINT": "http://nobody.invalid:4318", "ROTA_DETACH": "on"},
        }  # fmt: skip
        closed.close()
        self._start_agent()

    def environment(self, name: str, home: Path) -> dict[str, str]:
        """A user's environment in which that is at the other end."""
        settings = {"ROTA_AGENT": "off", "ROTA_DETACH": "off", **self._endpoints[name]}
        return clean_environment(home, **settings)

    def deliver(self, home: Path) -> None:
        """Bring what is left in a home to the collector, as the next shipper on that host does."""
        settings = clean_environment(home, ROTA_ENDPOINT=self.collector.url)
        done = rota("agent", "--once", "--verbose", environment=settings)
        assert done.returncode == 0, done.stderr

    def _start_agent(self) -> None:
        home = self._folder / "agent"
        settings = clean_environment(home, ROTA_AGENT=str(self._agent), ROTA_ENDPOINT=self.collector.url)
        process = subprocess.Popen([sys.executable, "-m", "rota", "agent"], env=settings, stderr=subprocess.DEVNULL)
        self._opened.callback(lambda: (process.terminate(), process.wait()))
        until(self._agent.exists, "the agent")

    def _serve(self, answer: Callable[[socket.socket], object]) -> str:
        """A server with a thread for each caller; its address."""
        listener = self._opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))

        def answer_one(caller: socket.socket) -> None:
            with contextlib.suppress(OSError), caller:
                answer(caller)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=answer_one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return "http://%s:%d" % listener.getsockname()


@contextlib.contextmanager
def surroundings(folder: Path) -> Iterator[Surroundings]:
    """All of it, until the block ends."""
    with contextlib.ExitStack() as opened:
        collector = CollectorProcess(folder / "collector", folder / "collector.stderr").start()
        opened.callback(collector.close)
        yield Surroundings(folder, collector, opened)


def kernel_tells() -> bool:
    """Whether this kernel says how a process ended to others than its parent (Linux 6.15)."""
    major, minor, *_ = platform.release().split(".")
    return sys.platform == "linux" and (int(major), int(minor)) >= (6, 15)


def _pass_on(secure: ssl.SSLContext, caller: socket.socket, to: tuple[str, int]) -> None:
    """Everything in both directions, until one side is done."""
    with secure.wrap_socket(caller, server_side=True) as outer, socket.create_connection(to) as inner:
        answering = threading.Thread(target=_copy, args=(inner, outer), daemon=True)
        answering.start()
        _copy(outer, inner)
        answering.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for ``localhost`` that nobody signed but itself, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += [
        "-keyout",
        str(key),
        "-out",
        str(certificate),
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key
