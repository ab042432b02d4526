"""The command line itself: which command runs, what it costs to start, what it says when there is nobody to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rota import cli
from rota.cli import _api, _parts, demo
from rota.errors import RotaError

CLOSED = "http://127.0.0.1:1"
SDK = Path(__file__).parents[2] / "sdk"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """No other rota is in reach."""
    for name in list(os.environ):
        if name.startswith(("ROTA_", "OTEL_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ROTA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ROTA_AGENT", "off")
    monkeypatch.setenv("ROTA_ENDPOINT", CLOSED)


@pytest.fixture
def server(monkeypatch):
    """An HTTP server at ROTA_ENDPOINT; ``answer`` is (status, headers, body), ``requests`` what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        answer: ClassVar[Any] = (200, {"Rota-Collector": "1"}, b"{}")
        requests: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

        def do_GET(self):
            length = int(self.headers.get("Content-Length") or 0)
            self.requests.append((self.path, dict(self.headers), self.rfile.read(length)))
            status, headers, body = self.answer(self.path) if callable(self.answer) else self.answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    Handler.requests = []
    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("ROTA_ENDPOINT", f"http://127.0.0.1:{http.server_port}")
        yield Handler
        http.shutdown()


def rota_answer(content, status=200):
    return status, {"Rota-Collector": "1"}, json.dumps(content).encode()


def test_every_command_has_a_module_with_the_three_parts():
    """HELP in one line, add_arguments, run; `rota --help` lists them all."""
    for name in cli.COMMANDS:
        module = cli._command(name)
        assert module.HELP
        assert "\n" not in module.HELP
        assert callable(module.add_arguments)
        assert callable(module.run)


def test_help_lists_the_commands(capsys):
    """On standard output, with exit status 0, however it is asked for."""
    for words in ([], ["--help"], ["-h"], ["help"]):
        assert cli.main(words) == 0
        out = capsys.readouterr().out
        assert [name for name in cli.COMMANDS if f"\n  {name} " not in out] == []


def test_an_unknown_command_is_wrong_usage(capsys):
    """Exit status 2, the word, and the commands there are, on stderr."""
    assert cli.main(["nonsense"]) == 2
    err = capsys.readouterr().err
    assert "there is no command 'nonsense'" in err
    assert "doctor" in err


def test_wrong_arguments_are_wrong_usage(capsys):
    """Exit status 2, as argparse has it."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["runs", "--limit", "many"])
    assert ended.value.code == 2


def test_the_version_is_told(capsys):
    """`rota --version`."""
    import rota

    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"rota {rota.__version__}\n"


def test_one_command_imports_nothing_of_the_others():
    """`rota ls --json` starts fast: of rota, only what it needs, and nothing that is not in the standard library."""
    code = (
        "import sys; from rota.cli import main; status = main(['ls', '--json']);"
        "print(' '.join(sorted(sys.modules))); sys.exit(status)"
    )
    ended = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, cwd=SDK)
    assert ended.returncode == 1, ended.stderr  # nobody listens there
    loaded = set(ended.stdout.split())
    ours = {name for name in loaded if name.startswith("rota")}
    assert ours <= {
        "rota", "rota.errors", "rota._config", "rota._https", "rota.cli", "rota.cli.ls", "rota.cli._api", "rota.cli._text",
        "rota.wire", "rota.wire.names", "rota.wire.tls", "rota.rules", "rota.rules.declared", "rota.rules.fold",
    }  # fmt: skip
    assert {name.partition(".")[0] for name in loaded} - {"rota", "__main__"} <= set(sys.stdlib_module_names) | {"sitecustomize"}
    assert not loaded & {"asyncio", "multiprocessing", "subprocess", "unittest"}


@pytest.mark.parametrize("words", [["ls"], ["ls", "--json"], ["runs"], ["show", "last"], ["logs", "last"], ["sql", "SELECT 1"]])
def test_without_a_collector_there_is_one_clear_sentence(capsys, words):
    """The address, the reason, and `rota up`; exit status 1; nothing on standard output."""
    assert cli.main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"rota: cannot reach the collector at {CLOSED} (Connection refused). Start one with `rota up`, or set ROTA_ENDPOINT\n"
    )


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4318", "file:///etc/passwd", "ftp://x"])
def test_an_endpoint_that_is_no_http_address_is_refused(capsys, monkeypatch, endpoint):
    """It is named, and nothing is opened."""
    monkeypatch.setenv("ROTA_ENDPOINT", endpoint)
    assert cli.main(["ls"]) == 1
    assert f"{endpoint} (not an http:// or https:// address)" in capsys.readouterr().err


def test_a_foreign_server_is_not_taken_for_a_collector(capsys, server):
    """Whatever it answers: without the header it is somebody else."""
    for answer in ((200, {}, b'{"items": [], "next": null}'), (404, {}, b"not here")):
        server.answer = answer
        assert cli.main(["ls"]) == 1
        assert "is no rota collector (no Rota-Collector header)" in capsys.readouterr().err


def test_what_the_collector_says_no_to_is_passed_on(capsys, server):
    """Message and hint, in one line."""
    server.answer = rota_answer({"error": {"code": "unknown_state", "message": "state='x' is none", "hint": "states: a b"}}, 422)
    assert cli.main(["runs", "--state", "x"]) == 1
    assert capsys.readouterr().err == "rota: state='x' is none. states: a b\n"


def test_pages_are_followed_up_to_the_limit(server):
    """As many items as asked for, over as many pages as it takes, and no request more."""
    pages = {None: (["a", "b"], "c1"), "c1": (["c", "d"], "c2"), "c2": (["e"], None)}

    def answer(path):
        cursor = path.partition("cursor=")[2].partition("&")[0] or None
        items, following = pages[cursor]
        return rota_answer({"items": items, "next": following})

    server.answer = staticmethod(answer)
    assert list(_api.items("/runs")) == ["a", "b", "c", "d", "e"]
    server.requests.clear()
    assert list(_api.items("/runs", 4)) == ["a", "b", "c", "d"]
    assert len(server.requests) == 2


def test_the_key_goes_with_every_request(server, monkeypatch):
    """ROTA_TOKEN as a bearer."""
    monkeypatch.setenv("ROTA_TOKEN", "s3cret")
    _api.get("/workflows")
    _api.post("/sql", {"query": "SELECT 1"})
    assert [headers["Authorization"] for _, headers, _ in server.requests] == ["Bearer s3cret"] * 2


def test_no_proxy_is_asked_about_this_machine(server, monkeypatch):
    """`http_proxy` is for the world outside."""
    monkeypatch.setenv("http_proxy", CLOSED)
    assert _api.get("/workflows") == {}


def test_a_part_that_is_not_installed_says_what_to_install(monkeypatch, capsys):
    """The missing modules by name, and the extra that has them; exit status 1."""
    monkeypatch.setitem(_parts.NEEDS, "collector", ("sqlite3", "no_such_module", "no_such_package.part"))
    assert cli.main(["collector"]) == 1
    assert capsys.readouterr().err == (
        "rota: the collector needs no_such_module, no_such_package.part: pip install 'rota[server]'\n"
    )
    assert cli.main(["up"]) == 1


def test_parts_stop_together(monkeypatch):
    """When one ends by itself, the error says which and how; leaving the context stops the others."""
    code = {"collector": "import time; time.sleep(60)", "agent": "import sys; sys.exit(3)"}
    monkeypatch.setattr(_parts, "command", lambda part: [sys.executable, "-c", code[part]])
    monkeypatch.setattr(_parts, "require", lambda part: None)
    with _parts.Parts(os.environ) as parts:
        parts.start("collector")
        stays = parts._running["collector"]
        parts.start("agent")
        with pytest.raises(_parts.PartDied, match=r"the agent ended \(exit status 3\); stopping the rest"):
            parts.wait_until(lambda: False, 30, "nothing")
    assert stays.returncode == -15


def test_what_does_not_happen_in_time_is_an_error():
    """Waiting ends, and says for what."""
    with pytest.raises(RotaError, match=r"the moon did not happen within 0.1 s"), _parts.Parts({}) as parts:
        parts.wait_until(lambda: False, 0.1, "the moon")


def test_the_demo_looks_at_its_own_rota_only(monkeypatch, tmp_path):
    """Nothing of another rota or OpenTelemetry is left in its environment; its ports are free."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere")
    monkeypatch.setenv("TRACEPARENT", "00-1-2-3")
    monkeypatch.setenv("ROTA_TOKEN", "x")
    found = demo.environment(str(tmp_path))
    assert {name for name in found if name.startswith(("ROTA_", "OTEL_", "TRACE"))} == {
        "ROTA_HOME", "ROTA_HTTP", "ROTA_GRPC", "ROTA_DASHBOARD", "ROTA_AGENT", "ROTA_WEBHOOK_ALLOW_PRIVATE",
    }  # fmt: skip
    assert found["ROTA_HOME"] == str(tmp_path)


def test_the_demo_gives_way_on_a_busy_port():
    """The usual port when it is free, another one otherwise."""
    from socket import create_server

    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert demo.free_port(port) not in (port, 0)
    assert demo.free_port(port) == port


def test_the_demo_without_examples_says_where_they_are(monkeypatch, tmp_path):
    """A wheel has none: it says so, and what else to do."""
    monkeypatch.setattr(demo, "__file__", str(tmp_path / "a" / "b" / "c" / "demo.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RotaError, match=r"an installed rota has none. Clone its repository"):
        demo.find_examples()
