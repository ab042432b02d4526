"""`rota-sh` as a crontab's SHELL: each command is a run, and whatever is wrong with rota, the command runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from execs import ROTA_SH, environment
from scripts import SDK, Outcome, read_back

SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]
LAUNCHER = "#!{}\nimport sys\nfrom rota.cli import main\nsys.exit(main())\n"


@pytest.fixture(params=SHELLS)
def installed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """An environment with rota and rota-sh, as an installation makes it; rota-sh runs under that shell."""
    top = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", top], check=True)
    (packages,) = (top / "lib").glob("python*/site-packages")
    (packages / "rota").symlink_to(SDK / "rota")
    script = ROTA_SH.read_text().replace("#!/bin/sh", "#!" + str(shutil.which(request.param)), 1)
    for name, text in (("rota", LAUNCHER.format(top / "bin" / "python")), ("rota-sh", script)):
        (top / "bin" / name).write_text(text)
        (top / "bin" / name).chmod(0o755)
    return top / "bin" / "rota-sh"


def run(shell: Path, *arguments: str, home: Path, **env: str) -> Outcome:
    """As cron does: a small PATH, and nothing of rota's in it."""
    ours = {name: value for name, value in environment(home, **env).items() if name.startswith(("ROTA_", *env))}
    done = subprocess.run(
        [str(shell), *arguments],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home.parent), **ours},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return read_back(Outcome(done.returncode, done.stdout, done.stderr, home))


def name_of(outcome: Outcome) -> str:
    name: str = outcome.last["cicd.pipeline.name"]
    return name


def test_a_line_is_a_run(installed: Path, home: Path) -> None:
    """A crontab's line runs by /bin/sh, with its own status and output, and is a run that is called after what it runs."""
    outcome = run(installed, "-c", "cd / && A=1 env B=2 ls -d $HOME/.. >/dev/null; echo $0; exit 7", home=home)
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.errors) == (7, b"/bin/sh\n", b"", "")
    assert (outcome.states(), name_of(outcome), outcome.last["rota.source"]) == (["running", "failed"], "ls", "exec")


def test_words_after_the_line(installed: Path, home: Path) -> None:
    """What follows the line are its $0, $1, …, as for every shell."""
    assert run(installed, "-c", 'echo "$0|$1"', "zero", "a b", home=home).stdout == b"zero|a b\n"


def test_a_remark_names_the_run(installed: Path, home: Path) -> None:
    """A remark at the end of the line says what options would; one that cannot be read changes nothing."""
    outcome = run(installed, "-c", 'true # rota: name=etl.load schedule="30 2 * * *" grace=15m', home=home)
    assert (name_of(outcome), outcome.events[0]["rota.schedule.spec"]) == ("etl.load", "30 2 * * *")
    outcome = run(installed, "-c", 'exit 3 # rota: colour=blue name="', home=home)
    assert outcome.code == 3


@pytest.mark.parametrize(
    "arguments", [("-c", "exec >/dev/null; rota exec --name x true; exit 6"), ("-c",), ("-s",), ("-c", "")], ids=str
)
def test_what_is_left_to_sh(installed: Path, home: Path, arguments: tuple[str, ...]) -> None:
    """A line that says `rota exec` itself, and what is no -c at all, is /bin/sh's as it is."""
    small = {"PATH": "/usr/bin:/bin"}
    plain = subprocess.run(["/bin/sh", *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL, env=small)
    outcome = run(installed, *arguments, home=home)
    assert (outcome.code, outcome.stdout) == (plain.returncode, plain.stdout)
    assert [event for event in outcome.events if event["cicd.pipeline.name"] == "exec"] == []


def test_inside_a_run(installed: Path, home: Path) -> None:
    """A program of an observed job that uses $SHELL makes no runs by it."""
    outcome = run(installed, "-c", f"{installed} -c 'echo inner'", home=home)
    assert outcome.stdout == b"inner\n"
    assert outcome.states() == ["running", "succeeded"]


def test_through_links(installed: Path, home: Path, tmp_path: Path) -> None:
    """Started by a link, absolute or relative, on PATH or not, it finds the rota that it was installed with."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "absolute").symlink_to(installed)
    (tmp_path / "bin" / "relative").symlink_to(os.path.relpath(installed, tmp_path / "bin"))
    (tmp_path / "bin" / "second").symlink_to("relative")
    for link in ("absolute", "relative", "second"):
        run(tmp_path / "bin" / link, "-c", "true", home=home)
    outcome = run(Path("/usr/bin/env"), f"PATH={tmp_path / 'bin'}:/usr/bin:/bin", "second", "-c", "true", home=home)
    assert outcome.states().count("succeeded") == 4


def break_launcher(top: Path) -> None:
    (top / "bin" / "rota").unlink()


def break_python(top: Path) -> None:
    (top / "bin" / "python").unlink()
    (top / "bin" / "python").symlink_to("/nowhere/python3")


def break_package(top: Path) -> None:
    (package,) = (top / "lib").glob("python*/site-packages/rota")
    package.unlink()


def break_module(top: Path) -> None:
    (package,) = (top / "lib").glob("python*/site-packages/rota")
    package.unlink()
    shutil.copytree(SDK / "rota", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "cli" / "exec.py").write_text("def broken(:\n")


def break_later(top: Path) -> None:
    break_module(top)
    (package,) = (top / "lib").glob("python*/site-packages/rota")
    shutil.copy(SDK / "rota" / "cli" / "exec.py", package / "cli" / "exec.py")
    shutil.rmtree(package / "exec")


def break_shebang(top: Path) -> None:
    (top / "bin" / "rota").write_text("")


def break_interpreter(top: Path) -> None:
    (top / "bin" / "python").unlink()
    (top / "bin" / "python").write_text("#!/bin/sh\necho no libraries >&2; exit 127\n")
    (top / "bin" / "python").chmod(0o755)


BREAKS = [break_interpreter, break_launcher, break_python, break_package, break_module, break_later, break_shebang]


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__)
def test_a_broken_rota(installed: Path, home: Path, damage: object) -> None:
    """With rota missing or broken in whatever way, the line runs by /bin/sh, once, and nothing is said."""
    assert callable(damage)
    damage(installed.parents[1])
    outcome = run(installed, "-c", 'echo "once $1"; exit 9', "zero", "one", home=home)
    assert (outcome.code, outcome.stdout, outcome.stderr) == (9, b"once one\n", b"")
    signals = run(installed, "-c", "grep SigIgn /proc/self/status", home=home)
    plain = subprocess.run(["/bin/sh", "-c", "grep SigIgn /proc/self/status"], capture_output=True, check=True)
    assert signals.stdout == plain.stdout  # whoever runs the tests may ignore some


def test_a_home_that_cannot_be_written(installed: Path, home: Path) -> None:
    """With a home that is no folder, the line runs as ever."""
    home.write_text("")
    assert run(installed, "-c", "echo $0; exit 9", home=home).code == 9


def test_a_hostile_environment(installed: Path, home: Path, tmp_path: Path) -> None:
    """PYTHONPATH, PYTHONHOME and a rota.py in the job's folder are the job's, and do not disturb."""
    (tmp_path / "rota.py").write_text("raise SystemExit(99)\n")
    line = f"cd {tmp_path}; echo $PYTHONHOME; exit 2"
    outcome = run(installed, "-c", line, home=home, PYTHONPATH=str(tmp_path), PYTHONHOME="/nowhere")
    assert (outcome.code, outcome.stdout, outcome.states()) == (2, b"/nowhere\n", ["running", "failed"])


@pytest.mark.skipif(not os.path.exists("/proc/self/comm"), reason="cron is known by its name in /proc")
@pytest.mark.parametrize(
    ("remark", "declared"),
    [
        ("", {"spec": "0 2 * * *", "tz": "Europe/Berlin"}),
        (" # rota: grace=15m", {"spec": "0 2 * * *", "tz": "Europe/Berlin", "grace": "15m"}),
        (' # rota: schedule="@daily"', {"spec": "@daily"}),
        (" # rota: name=elsewhere", {"spec": "0 2 * * *", "tz": "Europe/Berlin"}),
    ],
)
def test_the_line_of_the_crontab_is_the_schedule(
    installed: Path, home: Path, tmp_path: Path, remark: str, declared: dict[str, str]
) -> None:
    """Under a cron: the times of the line that the command stands in, unless the remark says others."""
    line = f"exit 3{remark}"
    (tmp_path / "crontab.txt").write_text(f"SHELL={installed}\n0 2 * * * {line}\n")
    (tmp_path / "crontab").write_text(f"#!/bin/sh\ncat {tmp_path}/crontab.txt\n")
    (tmp_path / "crontab").chmod(0o755)
    cron = shutil.copy(str(shutil.which("sh")), tmp_path / "cron")
    ours = {name: value for name, value in environment(home).items() if name.startswith("ROTA_")}
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOGNAME": "nobody in particular", "TZ": "Europe/Berlin", **ours}
    command = [cron, "-c", '"$0" -c "$1"; exit $?', str(installed), line]
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=60)
    outcome = read_back(Outcome(done.returncode, done.stdout, done.stderr, home))
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.errors) == (3, b"", b"", "")
    said = {name: value for event in outcome.events for name, value in event.items() if name.startswith("rota.schedule.")}
    assert said == {f"rota.schedule.{name}": value for name, value in declared.items()}
