"""Where telemetry is forwarded to, as the settings say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from docs_blocks import DOCS, blocks

from rota_collector.errors import ConfigError
from rota_collector.targets import Target, read


def test_nothing_is_forwarded_unasked() -> None:
    """Without the setting there is no target."""
    assert read("", "") == ()


def test_an_address_is_a_target() -> None:
    """One address and its headers, percent-encoded as OpenTelemetry's own setting has them."""
    [target] = read("https://otel.example/otlp/", "authorization=Bearer%20a=b, x-scope=1")
    assert target == Target("default", "https://otel.example/otlp", {"authorization": "Bearer a=b", "x-scope": "1"})


def test_a_file_names_several(tmp_path: Path) -> None:
    """A TOML file has a table a target; secrets come from the environment."""
    path = tmp_path / "forward.toml"
    path.write_text(
        """
        [tempo]
        endpoint = "https://tempo.example:4318"
        headers = {authorization = "Bearer ${TEMPO_TOKEN}"}
        signals = ["traces"]
        begin = "journal"
        [other]
        endpoint = "http://10.0.0.7:4318"
        timeout_seconds = 3
        """
    )
    tempo, other = read(str(path), "", {"TEMPO_TOKEN": "s3"})
    assert (tempo.headers, tempo.signals, tempo.begins_now) == ({"authorization": "Bearer s3"}, ("traces",), False)
    assert (other.name, other.timeout_seconds, other.begins_now) == ("other", 3.0, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\nendpoint = 'ftp://x'", "base address"),
        ("[a]\nendpoint = 'http://x/?key=1'", "base address"),
        ("[a]", "base address"),
        ("['../a']\nendpoint = 'http://x'", "no target"),
        ("a = 1", "no target"),
        ("[a]\nendpoint = 'http://x'\nsignal = ['logs']", "is 'signals' meant"),
        ("[a]\nendpoint = 'http://x'\nsignals = ['spans']", "not a list of traces"),
        ("[a]\nendpoint = 'http://x'\nbegin = 'yesterday'", "neither"),
        ("[a]\nendpoint = 'http://x'\ntimeout_seconds = 0", "no number of seconds"),
        ("[a]\nendpoint = 'http://x'\nheaders = {a = 1}", "table of texts"),
        ("[a]\nendpoint = 'http://x'\nheaders = {a = '${NOT_SET}'}", "not in the environment"),
        ("[a]\nendpoint = 'http://x'\nheaders = {a = \"1\\nb: 2\"}", "no header can"),
        ("[a", "no TOML"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, text: str, said: str) -> None:
    """A mistake in the file is refused with its place and a way out, before anything starts."""
    path = tmp_path / "forward.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as refused:
        read(str(path), "", {})
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_said() -> None:
    """A path that cannot be read is an error at the start."""
    with pytest.raises(ConfigError, match="nor a file that can be read"):
        read("/nowhere/forward.toml", "")


def test_headers_are_pairs() -> None:
    """A header without a value is refused, and not shown: it may be a secret."""
    with pytest.raises(ConfigError, match="KEY=VALUE") as refused:
        read("http://x", "hunter2")
    assert "hunter2" not in str(refused.value)


def test_the_example_of_the_page_can_be_used(tmp_path: Path) -> None:
    """The file that the page on forwarding shows is one."""
    [block] = [block for block in blocks(DOCS / "forwarding.md") if block.kind == "toml"]
    path = tmp_path / "forward.toml"
    path.write_text(block.body)
    assert [target.name for target in read(str(path), "", {"TEMPO_TOKEN": "t"})] == ["tempo", "archive"]
