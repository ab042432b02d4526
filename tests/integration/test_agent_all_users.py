"""One agent for every user: root's door, and each user's files touched with that user's rights only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from otlp_receiver import RUN_ID, Receiver, Reply, receiver, state_line
from servers import PATIENCE_SECONDS, clean_environment, poll

from rota.agent import witness
from rota.wire import names

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not hasattr(os, "pidfd_open"), reason="needs root on Linux, to be other users"
)
ALICE, BOB = 54321, 54322
NO_GROUP = "65534"
STEM = "4242-00ff00ff00ff00ff"
TOKEN = "k-of-the-machine"


class World:
    """A folder that every user may enter, with a home for two of them and one door."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.door, self.log = path, path / "agent.sock", path / "agent.log"
        settings = {"ROTA_ENDPOINT": url, "ROTA_AGENT": str(self.door), "ROTA_TOKEN": TOKEN}
        self.environment = {**clean_environment(path / "root"), **settings}
        for uid in (ALICE, BOB):
            as_user(0, lambda uid=uid: self.make_spool(uid))

    def spool(self, uid: int) -> Path:
        """A user's."""
        return self.path / str(uid) / "spool"

    def make_spool(self, uid: int) -> None:
        """With nothing in it."""
        for folder in (self.spool(uid).parent, self.spool(uid), *(self.spool(uid) / name for name in ("live", "left"))):
            folder.mkdir()
            folder.chmod(0o700)
            os.chown(folder, uid, uid)

    def hello(self, spool: Path, stem: str = STEM) -> None:
        """Of this process, to the door."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self.door))
            connection.sendall(json.dumps({"hello": 1, "pid": 1, "spool": str(spool), "stem": stem}).encode() + b"\n")

    def agents(self, process: subprocess.Popen[bytes]) -> list[int]:
        """The pids of the users' agents."""
        return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def become(uid: int) -> None:
    """As a daemon does that was started by root: no exec follows."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def as_user(uid: int, do: Callable[[], object]) -> int:
    """Fork, become that user, do it, end; the wait status."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if uid:
                become(uid)
            do()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


@pytest.fixture
def server() -> Iterator[Receiver]:
    """A receiver that says it is rota."""
    with receiver() as running:
        yield running


@pytest.fixture
def world(server) -> Iterator[World]:
    """The folder, removed at the end."""
    path = Path(tempfile.mkdtemp(prefix="rota-users-"))
    path.chmod(0o755)
    yield World(path, server.url)
    shutil.rmtree(path)


@contextlib.contextmanager
def porter(world: World) -> Iterator[subprocess.Popen[bytes]]:
    """The agent of all users; TERM has to end it with 0, unless the test ended it."""
    before = world.log.read_text().count("ready") if world.log.exists() else 0
    command = [sys.executable, "-m", "rota", "agent", "--all-users"]
    with world.log.open("ab") as file, subprocess.Popen(command, env=world.environment, stderr=file) as process:
        try:
            poll(
                lambda: world.log.read_text().count("ready") > before or process.poll() is not None, "it is not ready", world.log
            )
            yield process
        finally:
            ended = process.poll() is not None
            process.terminate()
            status = process.wait(PATIENCE_SECONDS)
        assert ended or status == 0, world.log.read_text()


def killed_script(world: World, uid: int) -> None:
    """A script that begins its run, says hello, and is killed."""
    file = os.open(world.spool(uid) / "live" / f"{STEM}.logs.jsonl", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.lockf(file, fcntl.LOCK_EX)
    os.write(file, state_line("running"))
    world.hello(world.spool(uid))
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_users_runs_are_carried_and_their_deaths_seen(world, server):
    """Two users, neither of whom runs an agent; the machine's key goes along."""
    with porter(world):
        for uid in (ALICE, BOB):
            assert as_user(uid, lambda uid=uid: killed_script(world, uid)) == signal.SIGKILL
            left = world.spool(uid) / "left" / f"{STEM}.logs.jsonl"
            poll(
                lambda left=left: b"crashed" in b"".join(body for _, body in server.delivered) and not left.exists(),
                "no end",
                world.log,
            )
            server.delivered.clear()
    assert {headers["Authorization"] for _, _, headers in server.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(("has_dropped_rights", "told"), [(True, None), (False, signal.SIGKILL)])
def test_a_status_that_the_kernel_hides_is_not_taken_for_a_success(has_dropped_rights, told):
    """It shows a 0 for a zombie that its user may not trace: one that was root before. What an exec made of it may be traced."""
    zombie = os.fork()
    if zombie == 0:
        become(ALICE)
        if has_dropped_rights:
            os.kill(os.getpid(), signal.SIGKILL)
        os.execv("/bin/sh", ["sh", "-c", "kill -KILL $$"])
    poll(lambda: status_of(zombie)["State"].startswith("Z"), "it does not end")

    def look() -> None:
        pidfd = witness.open_pidfd(zombie)
        assert pidfd is not None
        assert witness.wait_status(pidfd, zombie) == told

    try:
        assert as_user(ALICE, look) == 0
    finally:
        os.waitpid(zombie, 0)


def test_an_agent_is_its_user_and_hides_the_key(world, server):
    """It has that user's ids and no power of root, no descriptor of the porter, and its environment is not to be read."""
    with porter(world) as process:
        as_user(ALICE, lambda: world.hello(world.spool(ALICE)))
        (pid,) = poll(lambda: world.agents(process), "no agent is started", world.log)
        poll(lambda: status_of(pid)["Uid"].split() == [str(ALICE)] * 4, "it stays root", world.log)
        status = status_of(pid)
        assert status["Gid"].split() == [NO_GROUP] * 4  # of a user whom nobody entered; the group 54321 may be somebody's
        assert (status["CapEff"], status["CapPrm"], status["Groups"].split()) == ("0" * 16, "0" * 16, [NO_GROUP])
        poll((world.path / "root" / "spools.json").exists, "it does not serve", world.log)
        assert as_user(ALICE, lambda: Path(f"/proc/{pid}/environ").read_bytes()) != 0
        assert as_user(ALICE, lambda: os.listdir(f"/proc/{pid}/fd")) != 0


def status_of(pid: int) -> dict[str, str]:
    """Name -> value, of /proc/<pid>/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("way", ["path", "link to the spool", "link to a folder", "link to a file", "pipe"])
def test_a_user_reaches_nothing_of_another(world, server, way):
    """However the path leads there: what is not the caller's is neither read, sent, moved nor removed."""
    secret = world.spool(BOB) / "left" / f"{STEM}.logs.jsonl"
    secret.write_bytes(state_line("running"))
    secret.chmod(0o600)
    os.chown(secret, BOB, BOB)
    own = world.spool(ALICE)
    asked = own

    def lure() -> None:
        if way == "link to the spool":
            shutil.rmtree(own)
            own.symlink_to(world.spool(BOB))
        if way == "link to a folder":
            shutil.rmtree(own / "left")
            (own / "left").symlink_to(world.spool(BOB) / "left")
        if way == "link to a file":
            (own / "left" / secret.name).symlink_to(secret)
        if way == "pipe":
            os.mkfifo(own / "left" / secret.name)
        (world.spool(ALICE).parent / "mine").mkdir()

    assert as_user(ALICE, lure) == 0
    if way == "path":
        asked = world.spool(BOB)
    mine = world.spool(ALICE).parent / "mine"
    with porter(world):
        assert as_user(ALICE, lambda: world.hello(asked)) == 0
        assert as_user(ALICE, lambda: good_spool(mine, world)) == 0
        poll(server.states, "not even her own is sent", world.log)
    assert [state[names.RUN_ID] for state in server.states()] == [OTHER_RUN] * len(server.states())
    assert secret.read_bytes() == state_line("running")
    assert os.stat(secret).st_uid == BOB


OTHER_RUN = "0192a4b0-0000-7000-8000-00000000000a"


def good_spool(mine: Path, world: World) -> None:
    """Something of her own that is to be carried: when it arrives, all that came before it was looked at."""
    (mine / "left").mkdir(exist_ok=True)
    (mine / "left" / "1-00.logs.jsonl").write_bytes(state_line("succeeded", run_id=OTHER_RUN))
    world.hello(mine, stem="1-00")


def test_a_killed_agent_has_a_successor(world, server):
    """A user may kill the agent, which is a process of theirs: the next one serves the same spools."""
    with porter(world) as process:
        as_user(ALICE, lambda: world.hello(world.spool(ALICE)))
        (first,) = poll(lambda: world.agents(process), "no agent is started", world.log)
        poll((world.path / "root" / "spools.json").exists, "the spool is not remembered", world.log)
        assert as_user(ALICE, lambda: os.kill(first, signal.SIGKILL)) == 0
        (world.spool(ALICE) / "left" / "1-00.logs.jsonl").write_bytes(state_line("running"))
        os.chown(world.spool(ALICE) / "left" / "1-00.logs.jsonl", ALICE, ALICE)
        poll(server.states, "nobody carries on", world.log)
        assert world.agents(process) not in ([], [first])


def test_a_killed_porter_has_a_successor(world, server):
    """A kill -9 or an upgrade: agents end with their porter, and the next one knows whom to serve before anybody knocks."""
    with porter(world) as process:
        as_user(ALICE, lambda: world.hello(world.spool(ALICE)))
        poll((world.path / "root" / "spools.json").exists, "the spool is not remembered", world.log)
        agents = world.agents(process)
        process.kill()
        process.wait(PATIENCE_SECONDS)
        poll(lambda: not any(is_running(pid) for pid in agents), "an agent outlives its porter")
    (world.spool(ALICE) / "left" / "1-00.logs.jsonl").write_bytes(state_line("running"))
    os.chown(world.spool(ALICE) / "left" / "1-00.logs.jsonl", ALICE, ALICE)
    with porter(world):
        poll(server.states, "nobody carries on", world.log)


def test_an_agent_that_its_user_stops_holds_up_nobody(world, server):
    """While it ends, and is stopped in that, others are served; it is not waited for."""
    is_open = threading.Event()

    def hang(path: str, body: bytes) -> Reply:
        if RUN_ID.encode() in body:
            is_open.wait(PATIENCE_SECONDS)
        return Reply()

    server.answer = hang
    with porter(world) as process:
        as_user(ALICE, lambda: (world.spool(ALICE) / "left" / "1-00.logs.jsonl").write_bytes(state_line("succeeded")))
        as_user(ALICE, lambda: world.hello(world.spool(ALICE)))
        (first,) = poll(lambda: world.agents(process), "no agent is started", world.log)
        poll(lambda: server.asked, "it does not send", world.log)
        as_user(ALICE, lambda: os.kill(first, signal.SIGTERM))
        poll(lambda: f"uid {ALICE} ended" in world.log.read_text(), "it does not end", world.log)
        as_user(ALICE, lambda: os.kill(first, signal.SIGSTOP))
        as_user(BOB, lambda: good_spool(world.spool(BOB), world))
        poll(lambda: OTHER_RUN in {state[names.RUN_ID] for state in server.states()}, "the other is not served", world.log)
        assert is_running(first)
        is_open.set()


def test_a_directory_that_somebody_else_makes_is_not_served(world, server):
    """Root says hello for one that is not there yet, below where everybody may write; the user who makes it gains nothing."""
    common = world.path / "common"
    common.mkdir()
    common.chmod(0o1777)
    spool = common / "spool"
    with porter(world) as process:
        world.hello(spool)
        poll(lambda: world.agents(process), "no agent is started", world.log)
        poll((world.path / "root" / "spools.json").exists, "it is not remembered", world.log)

        def lure() -> None:
            (spool / "left").mkdir(parents=True)
            (spool / "left" / "1-00.logs.jsonl").write_bytes(state_line("succeeded"))

        assert as_user(ALICE, lure) == 0
        mine = world.path / "root" / "mine"
        mine.mkdir()
        good_spool(mine, world)
        poll(server.states, "not even its own is sent", world.log)
    assert {state[names.RUN_ID] for state in server.states()} == {OTHER_RUN}
    assert (spool / "left" / "1-00.logs.jsonl").exists()


def is_running(pid: int) -> bool:
    """A zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
