"""What a collector checks before it starts: its settings, its ports, its home."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from certificates import Authority

from rota_collector import home, ports
from rota_collector.clock import SystemClock
from rota_collector.config import SETTINGS, Address, Config
from rota_collector.errors import ConfigError, HomeLocked, PortBusy, StartError
from rota_collector.receive.access import refuse_open_ports
from rota_collector.store.control import Control
from rota_collector.store.key_changes import KeyChanges
from rota_collector.store.keys import Keys
from rota_collector.tls import Tls


def test_without_settings_everything_is_on_loopback(monkeypatch):
    """The defaults are the ports that OTLP is known by, and a home of the user's own."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    config = Config.read({})
    assert (str(config.http), str(config.grpc)) == ("127.0.0.1:4318", "127.0.0.1:4317")
    assert config.home == Path.home() / ".local/state/rota"
    assert config.max_body == 64 << 20


def test_the_home_is_where_it_is_said_to_be(monkeypatch):
    """ROTA_HOME first; then /var/lib/rota for root and $XDG_STATE_HOME/rota for others, as the SDK has it."""
    assert Config.read({"ROTA_HOME": "/x", "XDG_STATE_HOME": "/s"}).home == Path("/x")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert Config.read({"XDG_STATE_HOME": "/s"}).home == Path("/var/lib/rota")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Config.read({"XDG_STATE_HOME": "/s"}).home == Path("/s/rota")


def test_grpc_can_be_turned_off():
    """`off`, however it is written."""
    assert Config.read({"ROTA_GRPC": "OFF"}).grpc is None


def test_ipv6_loopback_is_loopback():
    """With brackets, as in a URL."""
    address = Config.read({"ROTA_HTTP": "[::1]:0"}).http
    assert (address, str(address)) == (Address("::1", 0), "[::1]:0")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ROTA_HTTP", "4318"), ("ROTA_HTTP", "127.0.0.1:"), ("ROTA_HTTP", "127.0.0.1:65536"), ("ROTA_HTTP", "127.0.0.1:x"),
        ("ROTA_API_RATE", "0"), ("ROTA_PING_RATE", "many"), ("ROTA_GRPC", "no"),
        ("ROTA_MAX_BODY", "64M"), ("ROTA_MAX_BODY", "0"), ("ROTA_MAX_BODY", "-1"),
        ("ROTA_CONNECTIONS", "many"), ("ROTA_CORS_ORIGINS", "app.example.org"), ("ROTA_CORS_ORIGINS", "https://app.example.org/"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_named(name, value):
    """The error has the setting, its value, and something to do about it."""
    with pytest.raises(ConfigError, match="Example") as refused:
        Config.read({name: value})
    assert f"{name}={value!r}" in str(refused.value)


@pytest.mark.parametrize("address", ["0.0.0.0:4318", "[::]:4318", "192.168.1.5:4318", "example.org:4318"])
def test_listening_beyond_this_machine_needs_a_key(address, tmp_path):
    """Without one nobody could be told from anybody: the error names the setting and the command that makes one."""
    config, control = Config.read({"ROTA_HTTP": address}), Control(tmp_path / "control.sqlite")
    keys, changes = Keys(control.path, SystemClock()), KeyChanges(control.engine)
    with pytest.raises(ConfigError, match=r"^ROTA_HTTP=.* no key was made .*`rota key create --scope admin`.*TLS"):
        refuse_open_ports(keys, ROTA_HTTP=config.http, ROTA_GRPC=None)
    changes.create("ping", now_ns=0)
    with pytest.raises(ConfigError):
        refuse_open_ports(keys, ROTA_HTTP=config.http, ROTA_GRPC=None)
    changes.create("admin", now_ns=0)
    refuse_open_ports(keys, ROTA_HTTP=config.http, ROTA_GRPC=None)
    keys.close()
    control.close()


def test_listening_on_loopback_needs_none(tmp_path):
    """Nor a control database: a home may be new."""
    config = Config.read({"ROTA_HOME": str(tmp_path), "ROTA_GRPC": "[::1]:0"})
    refuse_open_ports(Keys(tmp_path / "control.sqlite", SystemClock()), ROTA_HTTP=config.http, ROTA_GRPC=config.grpc)


@pytest.mark.parametrize("lonely", ["ROTA_TLS_CERTIFICATE", "ROTA_TLS_KEY", "ROTA_TLS_CLIENT_CA"])
def test_tls_takes_a_certificate_and_its_key(lonely):
    """One without the other is no TLS, and never silently none: the error names what is missing."""
    with pytest.raises(ConfigError, match="ROTA_TLS_(KEY|CERTIFICATE) is not set"):
        Config.read({lonely: "/some.pem"})


@pytest.mark.parametrize("what", ["another's", "not there", "with a password", "no authority"])
def test_a_certificate_that_cannot_be_used_is_refused(tmp_path, what):
    """The error has the files and the reason, before anything is created; nobody is asked for a password."""
    authority = Authority(tmp_path)
    ours, other = authority.sign("ours"), authority.sign("other")
    if what == "with a password":
        subprocess.run(
            ["openssl", "pkey", "-in", ours.key, "-aes256", "-passout", "pass:x", "-out", other.key],
            check=True,
            capture_output=True,
        )
    tls = {
        "another's": Tls(ours.certificate, other.key),
        "not there": Tls(ours.certificate, tmp_path / "none.pem"),
        "with a password": Tls(ours.certificate, other.key),
        "no authority": Tls(ours.certificate, ours.key, tmp_path / "none.pem"),
    }[what]
    with pytest.raises(ConfigError, match=f"{tls.certificate}.*{tls.key}"):
        tls.context()


def test_origins_are_compared_as_browsers_write_them():
    """Without spaces, in lower case."""
    read = Config.read({"ROTA_CORS_ORIGINS": "https://App.example.org, http://localhost:3000"})
    assert read.cors_origins == {"https://app.example.org", "http://localhost:3000"}


def test_a_unix_socket_is_for_its_owner_and_group(tmp_path):
    """Nobody else on the machine may connect."""
    path = tmp_path / "rota.sock"
    ports.listen_local(path, "ROTA_HTTP_SOCKET").close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_unix_socket_of_the_dead_is_taken_over(tmp_path):
    """What a killed collector left there does not keep the next one from starting."""
    path = tmp_path / "rota.sock"
    ports.listen_local(path, "ROTA_HTTP_SOCKET").close()
    with ports.listen_local(path, "ROTA_HTTP_SOCKET"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("what", ["a listener", "a file"])
def test_a_unix_socket_of_others_is_left_alone(tmp_path, what):
    """Where somebody listens, or what lies there is no socket, nothing is taken away, and the error names the setting."""
    path = tmp_path / "rota.sock"
    with ports.listen_local(path, "ROTA_HTTP_SOCKET") if what == "a listener" else path.open("w"):
        with pytest.raises(PortBusy, match=f"{path}.*ROTA_HTTP_SOCKET"):
            ports.listen_local(path, "ROTA_HTTP_SOCKET")
        assert path.exists()


def test_every_setting_is_read():
    """A row of the table that nothing reads would be a lie in the documentation."""
    source = Path(sys.modules[Config.__module__].__file__).read_text()
    assert [setting.name for setting in SETTINGS if source.count(f'"{setting.name}"') < 2] == []


def test_a_busy_port_is_refused_with_who_holds_it():
    """The error names the address, the process, and the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy) as refused:
            ports.listen(Address("127.0.0.1", port), "ROTA_HTTP")
    assert f"127.0.0.1:{port} (ROTA_HTTP) is in use by pid {os.getpid()} (" in str(refused.value)
    assert "choose another: ROTA_HTTP=127.0.0.1:PORT" in str(refused.value)


def test_a_port_that_is_shared_is_busy_all_the_same():
    """A listener that allows others beside it (SO_REUSEPORT) would get half of our requests."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortBusy):
            ports.listen(Address("127.0.0.1", taken.getsockname()[1]), "ROTA_HTTP")


def test_an_address_that_is_not_here_is_refused():
    """Not every error is a busy port."""
    with pytest.raises(PortBusy, match="cannot listen on 192.0.2.1:1234"):
        ports.listen(Address("192.0.2.1", 1234), "ROTA_HTTP")


def test_port_0_takes_a_free_one():
    """The real port is told."""
    with ports.listen(Address("127.0.0.1", 0), "ROTA_HTTP") as sock:
        assert ports.bound(sock).port > 0


def test_a_home_belongs_to_one_process(tmp_path):
    """A second process is refused with the pid of the first and the home; when the first is gone, it is let in."""
    fd = home.lock(tmp_path)
    code = "import sys, pathlib; from rota_collector import home; home.lock(pathlib.Path(sys.argv[1]))"
    second = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert f"a collector already runs in {tmp_path} (pid {os.getpid()})" in second.stderr
    with pytest.raises(HomeLocked):
        home.refuse_if_taken(tmp_path)
    os.close(fd)
    home.refuse_if_taken(tmp_path)
    os.close(home.lock(tmp_path))


def test_looking_whether_a_home_is_taken_creates_nothing(tmp_path):
    """A collector that cannot start leaves no trace."""
    home.refuse_if_taken(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_made_is_said(tmp_path):
    """With the path, the reason, and the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"cannot use .*file/home as home: Not a directory.*ROTA_HOME="):
        home.lock(tmp_path / "file" / "home")


def test_a_home_is_its_owners_alone(tmp_path):
    """What scripts said is nobody else's business."""
    os.close(home.lock(tmp_path / "new"))
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
