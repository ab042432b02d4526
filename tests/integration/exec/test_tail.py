"""`rota exec --tail`: the end of the output is kept, and the output itself is what it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collectors import until
from execs import environment, run_exec, start_exec, words
from scripts import Outcome, spool_lines


def outputs(home: Path) -> dict[str, tuple[str, int]]:
    """Stream -> (what was kept, how many bytes were written in all)."""
    found: dict[str, tuple[str, int]] = {}
    for line in spool_lines(home):
        for logs in line.get("resourceLogs", []):
            records = [record for scope in logs["scopeLogs"] for record in scope["logRecords"]]
            for record in (record for record in records if record["eventName"] == "rota.output"):
                pairs: dict[str, Any] = {pair["key"]: pair["value"] for pair in record["attributes"]}
                stream = pairs.get("log.iostream", {"stringValue": ""})["stringValue"]
                found[stream] = (record["body"]["stringValue"], int(pairs["rota.output.bytes"]["intValue"]))
    return found


def test_the_end_of_each_stream(home: Path) -> None:
    """The last bytes of stdout and of stderr are kept, with a first line that says how much went before."""
    outcome = run_exec("--tail", "6", "sh", "-c", "printf 0123456789; printf err >&2", home=home)
    assert (outcome.stdout, outcome.stderr) == (b"0123456789", b"err")
    assert outputs(home) == {"stdout": ("… 4 bytes left out …\n456789", 10), "stderr": ("err", 3)}


def test_one_file_for_both(home: Path, tmp_path: Path) -> None:
    """Where stdout and stderr are one file, the order of what was written is kept, in the file and in the tail."""
    source = "import os\nfor n in range(500):\n    os.write(1 + n % 2, b'%d\\n' % n)\n"
    wanted = "".join(f"{n}\n" for n in range(500))
    with open(tmp_path / "log", "wb") as log:
        run_exec("--tail", "1M", sys.executable, "-c", source, home=home, stdout=log, stderr=log, capture_output=False)
    assert (tmp_path / "log").read_text() == wanted
    assert outputs(home) == {"": (wanted, len(wanted))}


def test_nothing_is_read_unasked(home: Path) -> None:
    """Without --tail the command has our own streams, and no output is kept."""
    run_exec("echo", "secret", home=home)
    assert outputs(home) == {}
    assert "secret" not in "".join(str(line) for line in spool_lines(home))


@pytest.mark.parametrize(("line", "message"), [("echo out; echo why >&2; exit 3", "why"), ("echo out; exit 3", "out")])
def test_the_message_of_a_failure(home: Path, line: str, message: str) -> None:
    """A run that failed shows the last lines of stderr, or of stdout when there are none, as its error."""
    outcome = run_exec("--tail", "100", "sh", "-c", line, home=home)
    assert (outcome.last["error.type"], outcome.last["exception.message"]) == ("exit", message)


def test_a_success_has_no_message(home: Path) -> None:
    """What a command that succeeded wrote on stderr is no error."""
    outcome = run_exec("--tail", "100", "sh", "-c", "echo warning >&2", home=home)
    assert "exception.message" not in outcome.last


def test_a_process_that_keeps_the_pipe(home: Path, tmp_path: Path) -> None:
    """A background process that writes on after the command's end is not waited for, and loses none of its output."""
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    with open(tmp_path / "out", "wb") as out:
        outcome = run_exec(
            "--tail", "100", "sh", "-c", f"(read go <{fifo}; echo late) & echo early; exit 4",
            home=home, stdout=out, stderr=subprocess.DEVNULL, capture_output=False,
        )  # fmt: skip
    assert (outcome.code, (tmp_path / "out").read_text()) == (4, "early\n")
    fifo.write_text("go\n")
    until(lambda: (tmp_path / "out").read_text() == "early\nlate\n", "the late line")


def test_a_slow_reader_holds_the_command_back(home: Path, tmp_path: Path) -> None:
    """A command that writes more than anybody reads waits, as without rota: rota keeps no more of it than the tail."""
    progress = tmp_path / "progress"
    source = f"import os\nfor n in range(64):\n    os.write(1, bytes(65536))\n    open({str(progress)!r}, 'w').write(str(n))\n"
    process = start_exec("--tail", "10", sys.executable, "-c", source, home=home)
    assert process.stdout is not None
    until(lambda: progress.exists() and progress.read_text(), "the command to write")
    assert int(progress.read_text()) < 10
    stdout, _ = process.communicate(timeout=60)
    assert (len(stdout), process.returncode) == (64 * 65536, 0)


def test_a_stream_that_was_made_non_blocking(home: Path) -> None:
    """On a descriptor that somebody made non-blocking, every byte arrives."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    process = subprocess.Popen(words("--tail", "10", "head", "-c", "500000", "/dev/zero"), env=environment(home), stdout=theirs)
    os.close(theirs)
    with open(ours, "rb") as reader:
        assert len(reader.read()) == 500_000
    assert process.wait(60) == 0


def test_bytes_that_are_no_text(home: Path) -> None:
    """Bytes that are no UTF-8 pass unchanged, and are replaced in what is kept."""
    outcome: Outcome = run_exec("--tail", "100", "printf", r"\377\000a", home=home)
    assert outcome.stdout == b"\xff\x00a"
    assert outputs(home)["stdout"][0] == "�\x00a"
