"""The distribution, its lock, and what the tree promises to whoever installs it."""

from __future__ import annotations

import ast
import email
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text())
LOCK = (TOP / "requirements.lock").read_text()
SDK = TOP / "sdk" / "rota"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Iterator[zipfile.ZipFile]:
    """The wheel that the build backend makes of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=TOP, check=True, capture_output=True
    )
    with zipfile.ZipFile(next(folder.glob("rota-*.whl"))) as file:
        yield file


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel):
    """One distribution: the SDK, the collector, the dashboard, the integrations, the shell, the types marker, the licence."""
    names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    version = PROJECT["project"]["version"]
    assert tops == {
        "rota",
        "rota_collector",
        "rota_dashboard",
        "rota_integrations",
        f"rota-{version}.data",
        f"rota-{version}.dist-info",
    }
    assert [name for name in names if ".data/" in name] == [f"rota-{version}.data/scripts/rota-sh"]
    assert "rota/py.typed" in names
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)
    assert not [name for name in names if name.endswith((".pyc", ".part"))]


def test_a_plain_install_brings_no_dependency(wheel):
    """`pip install rota` installs rota alone: every requirement belongs to an extra."""
    metadata = email.message_from_bytes(wheel.read(next(n for n in wheel.namelist() if n.endswith("/METADATA"))))
    required = metadata.get_all("Requires-Dist") or []
    assert required
    assert [line for line in required if "extra ==" not in line] == []


def test_a_program_that_uses_rota_may_run_its_tests(wheel, tmp_path):
    """pytest does not warn that it cannot rewrite a rota that was imported before it, as it does for other plugins."""
    wheel.extractall(tmp_path / "installed")
    (tmp_path / "test_it.py").write_text("def test(rota_runs): pass\n")
    source = (
        "import rota, sys, pytest; print(rota.__file__); sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-W', 'error']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(tmp_path / "installed" / "rota"))


def test_the_version_is_written_once_for_each_reader():
    """The version in pyproject.toml is the one that `rota.__version__` says."""
    import rota

    assert rota.__version__ == PROJECT["project"]["version"]


def test_every_locked_package_has_a_hash_and_no_address():
    """The lock pins by version and hash, and names no index, no URL and no path of the machine that made it."""
    entries = re.split(r"\n(?=[a-z0-9])", LOCK, flags=re.IGNORECASE)[1:]
    assert len(entries) > 50
    assert [entry.split()[0] for entry in entries if "==" not in entry.split()[0] or "--hash=sha256:" not in entry] == []
    assert re.findall(r"https?://|file:|--(?:index|extra|find)|^ *#.*/", LOCK, flags=re.MULTILINE) == []


def test_the_lock_covers_the_extras_the_tools_and_the_build_backend():
    """Whatever pyproject.toml asks for by name is in the lock, so that set-up resolves nothing; what is observed has pins."""
    extras = {name: lines for name, lines in PROJECT["project"]["optional-dependencies"].items() if not pins_of(name).exists()}
    groups = {**extras, **PROJECT["dependency-groups"]}
    wanted = [*PROJECT["build-system"]["requires"], *(line for group in groups.values() for line in group)]
    names = {normal(re.split(r"[^\w.-]", line)[0]) for line in wanted} - {"rota"}
    assert names - {normal(line.partition("==")[0]) for line in LOCK.splitlines() if "==" in line} == set()


LANGUAGE = SDK / "rules" / "expression.py"


def pins_of(extra):
    """Where the environment of an observed system is pinned."""
    return TOP / "integrations" / "pins" / f"{extra.replace('-', '_')}.txt"


@pytest.mark.parametrize("package", ["wire", "rules"])
def test_wire_and_rules_import_the_standard_library_only(package):
    """What everybody imports depends on nothing but Python; only who evaluates a rule loads the library of its language."""
    allowed = sys.stdlib_module_names | {"rota"}
    paths = [path for path in (SDK / package).rglob("*.py") if path != LANGUAGE]
    assert {name for path in paths for name in imported(path)} <= allowed
    assert imported(LANGUAGE) <= allowed | {"simpleeval"}
    checked = "import sys; from rota.rules import expression as e; e.check('1 == 1'); assert 'simpleeval' not in sys.modules"
    subprocess.run([sys.executable, "-c", checked], check=True)


def test_the_sdk_core_imports_the_standard_library_only():
    """A watched script needs no package but rota: only the bridge, the plugin, the agent and the command line import more."""
    more = ("agent", "cli", "otel.py", "_pytest.py", "_pytest_session.py")
    core = [path for path in SDK.rglob("*.py") if path.relative_to(SDK).parts[0] not in more and path != LANGUAGE]
    assert core
    foreign = {str(path.relative_to(SDK)): imported(path) - sys.stdlib_module_names - {"rota", "_collections"} for path in core}
    assert {path: names for path, names in foreign.items() if names} == {}


def imported(path: Path) -> set[str]:
    """The top-level names of all absolute imports in a file, wherever they stand."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def test_set_up_says_which_python_it_needs(tmp_path):
    """With no Python ≥ 3.11 on PATH, set-up ends with a message that names the version and what to install."""
    for tool in ("dirname", "env", "bash"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    done = set_up(tmp_path, {"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; found Python 3.9.2" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_set_up_says_what_to_install_when_venv_is_missing(tmp_path):
    """A Python without ensurepip (bare Debian) gets the name of the package to install, when set-up cannot install it itself."""
    for tool in ("dirname", "env", "bash", "readlink"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    bare = tmp_path / "python3"
    bare.write_text('#!/bin/sh\ncase "$2" in *version_info\\ *) exit 0;; *print*) echo python3.12-venv;; *) exit 1;; esac\n')
    for path in (bare, tmp_path / "id"):
        path.chmod(0o755)
    done = set_up(tmp_path, {"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert "run make again: apt-get install python3.12-venv" in done.stderr


def set_up(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """``.ci/setup`` of a tree that has no .venv yet."""
    tree = folder / "tree"
    shutil.copytree(TOP / ".ci", tree / ".ci")
    return subprocess.run([tree / ".ci" / "setup"], env=environment, capture_output=True, text=True, check=False)


def test_a_skipped_test_fails_the_run_where_the_result_decides(tmp_path):
    """With CI=1 a run in which a test was skipped is not green, and names the test."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n\n@pytest.mark.skip(reason='no browser')\ndef test_page(): pass\n\ndef test_fine(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path]
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    lenient = subprocess.run(command, cwd=TOP, env=alone, capture_output=True, text=True, check=False)
    strict_command = [*command, "-p", "tests.plugin_no_skips"]
    strict = subprocess.run(strict_command, cwd=TOP, env=alone, capture_output=True, text=True, check=False)
    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert "test_page" in strict.stdout


@pytest.mark.parametrize("rule", ["demo", "test", "check", "bench", "soak", "docs", "lock"])
def test_the_front_door_has_every_rule(rule):
    """Each documented make rule exists."""
    done = subprocess.run(["make", "-n", "-o", ".venv/.stamp", rule], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_test_states_its_requirement():
    """The tests read as the list of what rota promises: each has a docstring."""
    tests = [(path, node) for path in (TOP / "tests").rglob("test_*.py") for node in requirements_of(path)]
    assert tests
    assert [f"{path.name}::{node.name}" for path, node in tests if not ast.get_docstring(node)] == []


def requirements_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
