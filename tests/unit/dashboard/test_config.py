"""Settings of the dashboard, and the command that starts it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rota_dashboard import __main__ as program
from rota_dashboard import config, server


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch) -> None:
    """As on a machine on which nobody set anything."""
    for setting in config.SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("", ("127.0.0.1", 8501)), ("127.0.0.1:9", ("127.0.0.1", 9)), ("localhost:80", ("localhost", 80)),
        ("[::1]:80", ("::1", 80)), ("127.0.0.1:65535", ("127.0.0.1", 65535)),
    ],
)  # fmt: skip
def test_it_listens_where_the_setting_says(monkeypatch, value, address):
    """ROTA_DASHBOARD is HOST:PORT, 127.0.0.1:8501 when not set."""
    monkeypatch.setenv("ROTA_DASHBOARD", value)
    assert config.listen() == address


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("8501", "is not HOST:PORT"), (":8501", "is not HOST:PORT"), ("127.0.0.1:x", "is not HOST:PORT"),
        ("127.0.0.1:65536", "is not HOST:PORT"), ("127.0.0.1:-1", "is not HOST:PORT"), ("127.0.0.1", "is not HOST:PORT"),
        ("0.0.0.0:8501", "is not a loopback address"), ("[::]:8501", "is not a loopback address"),
        ("192.168.1.2:8501", "put a reverse proxy with TLS in front"), ("rota.example.com:80", "set ROTA_DASHBOARD_URL"),
    ],
)  # fmt: skip
def test_a_wrong_address_ends_with_a_message_and_status_2(monkeypatch, capsys, value, text):
    """One that cannot be used, or on which a key would cross a network in the clear, is refused with the way out."""
    monkeypatch.setenv("ROTA_DASHBOARD", value)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"rota dashboard: ROTA_DASHBOARD={value!r} ")
    assert text in error


def test_a_certificate_that_cannot_be_used_ends_with_a_message_and_status_2(monkeypatch, capsys):
    """The setting, the file and what to do; with plain http nobody looks at it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/none.pem")
    assert config.client_tls("http://127.0.0.1:4318") is True
    monkeypatch.setenv("ROTA_ENDPOINT", "https://127.0.0.1:4318")
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(
        "rota dashboard: OTEL_EXPORTER_OTLP_CERTIFICATE=/none.pem: No such file or directory. "
    )


def test_a_wrong_address_is_said_before_anything_slow_is_loaded():
    """Streamlit takes a second to import, and nobody waits for it to read that a port is none."""
    script = (
        "import sys\nfrom rota_dashboard.__main__ import main\n"
        "try: main()\nexcept SystemExit as ended: print(ended.code, 'streamlit' in sys.modules, 'httpx' in sys.modules)"
    )
    environment = {"ROTA_DASHBOARD": "0.0.0.0:8501", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "2 False False\n"


@pytest.mark.parametrize(
    ("value", "address", "said"),
    [("", ("127.0.0.1", 8501), "http://127.0.0.1:8501"), ("[::1]:99", ("::1", 99), "http://[::1]:99")],
)
def test_it_says_where_it_is_and_what_it_shows(monkeypatch, capsys, value, address, said):
    """One line, then it serves."""
    served: list[tuple[str, int]] = []
    monkeypatch.setenv("ROTA_DASHBOARD", value)
    monkeypatch.setenv("ROTA_ENDPOINT", "http://collector:4318/")
    monkeypatch.setattr(server, "run", lambda *at: served.append(at))
    program.main()
    assert served == [address]
    assert capsys.readouterr().err == f"rota dashboard: {said} shows http://collector:4318\n"


@pytest.mark.parametrize(
    ("endpoint", "http", "found"),
    [
        ("", "", "http://127.0.0.1:4318"), ("", "127.0.0.1:9", "http://127.0.0.1:9"), ("https://c.example/", "127.0.0.1:9", "https://c.example"),
        ("http://c//", "", "http://c"),
    ],
)  # fmt: skip
def test_the_collector_is_where_its_setting_says(monkeypatch, endpoint, http, found):
    """ROTA_ENDPOINT, else where a collector on this machine listens; without a slash at its end."""
    monkeypatch.setenv("ROTA_ENDPOINT", endpoint)
    monkeypatch.setenv("ROTA_HTTP", http)
    assert config.endpoint() == found


@pytest.mark.parametrize("given", ["collector:4318", "ftp://c", "http://", "http://[::1", "http://c:99999", "http://c:0"])
def test_what_is_no_address_of_a_collector_is_said_at_the_start(monkeypatch, capsys, given):
    """Not on every page, to everybody who looks."""
    monkeypatch.setenv("ROTA_ENDPOINT", given)
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert f"{given!r} is no address of a collector" in capsys.readouterr().err


def test_the_key_may_be_in_a_file(monkeypatch, tmp_path):
    """ROTA_TOKEN_FILE names a file with the key; ROTA_TOKEN comes before it; an unreadable file is no key."""
    assert config.token() == ""
    monkeypatch.setenv("ROTA_TOKEN_FILE", str(tmp_path / "key"))
    assert config.token() == ""
    (tmp_path / "key").write_text("from-file\n")
    assert config.token() == "from-file"
    monkeypatch.setenv("ROTA_TOKEN", "direct")
    assert config.token() == "direct"


@pytest.mark.parametrize(
    ("url", "hosts", "is_secure"),
    [
        ("", [], False), ("http://127.0.0.1:8501", [], False), ("https://Rota.example.com/x", ["rota.example.com"], True),
        ("http://rota.lan:8080", ["rota.lan"], False), ("https://[2001:db8::1]", ["2001:db8::1"], True), ("rota.lan", [], False),
    ],
)  # fmt: skip
def test_it_answers_to_its_own_names_alone(monkeypatch, url, hosts, is_secure):
    """This machine's, and that of the proxy before it: another site's name that leads here is refused."""
    monkeypatch.setenv("ROTA_DASHBOARD_URL", url)
    assert config.hosts() == ["127.0.0.1", "localhost", "::1", *hosts]
    assert config.is_secure() == is_secure


def test_streamlit_calls_nobody_and_gives_nothing_away():
    """No statistics, no questions at the first start, no errors with code in them, and requests of other sites are refused."""
    wanted = {
        "browser.gatherUsageStats": False,
        "server.showEmailPrompt": False,
        "server.headless": True,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.enableStaticServing": False,
        "server.enableAgentApi": False,
    }
    assert wanted.items() <= config.STREAMLIT.items()


def test_every_setting_is_one_of_streamlits():
    """A misspelt one would be no setting at all."""
    from streamlit import config as streamlits

    assert [name for name in config.STREAMLIT if name not in streamlits._config_options_template] == []


@pytest.mark.parametrize("which", ["light", "dark"])
def test_every_colour_can_be_read(which):
    """Colours that mean something hold 4.5:1 on both backgrounds."""
    theme = {re.sub(r"^theme\.\w+\.", "", name): str(value) for name, value in config.STREAMLIT.items() if f".{which}." in name}
    grounds = [luminance(theme[name]) for name in ("backgroundColor", "secondaryBackgroundColor")]
    for name in ("green", "red", "yellow", "violet", "blue", "gray", "text", "link", "yellowText", "primary"):
        for ground in grounds:
            dark, light = sorted((luminance(theme[f"{name}Color"]), ground))
            assert (light + 0.05) / (dark + 0.05) >= 4.45, name


def luminance(colour: str) -> float:
    """Of ``#rrggbb``, as WCAG reckons it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
