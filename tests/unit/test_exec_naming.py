"""What a command is called, and how the words of `rota exec` are read."""

from __future__ import annotations

import shlex

import pytest

from rota.exec import naming, options

COMMANDS = {
    "python /opt/backup.py": "backup",
    "/usr/bin/python3.11 -u -W error /opt/backup.py --all": "backup",
    "python -m etl.nightly": "nightly",
    "/opt/backup.sh -v": "backup",
    "env FOO=1 nice -n 5 /x/y.sh": "y",
    "env -u HOME -i A=b /x/y.sh": "y",
    "timeout -k 5 2h flock -n /var/lock/x /x/y.sh": "y",
    "flock /var/lock/x -c '/x/y.sh --all'": "y",
    "sudo -u etl -E /x/y.sh": "y",
    "nohup setsid ionice -c 3 /x/y.sh": "y",
    "bash -euo pipefail /x/y.sh": "y",
    "bash -x /x/y.sh": "y",
    "sh -c 'cd /x && ./y.sh | tee log'": "y",
    "bash -lc /x/y.sh": "y",
    "perl -w /x/report.pl": "report",
    "uv run backup.py": "backup",
    "rsync -a /a /b": "rsync",
    "curl https://example.com": "curl",
    "/x/.hidden": ".hidden",
    "/x/data.tar.gz": "data.tar",
    "python": "python",
    "python -c pass": "python",
    "node /x/app.js": "app",
}
LINES = {
    "/opt/backup.sh -v": "backup",
    "cd /opt && ./load.sh --all": "load",
    "A=1 B='x y' /opt/backup.sh": "backup",
    ". /etc/profile; umask 077; /opt/backup.sh >>/var/log/x 2>&1": "backup",
    "[ -x /opt/backup.sh ] && /opt/backup.sh": "backup",
    "test -x /usr/sbin/anacron || ( cd / && run-parts --report /etc/cron.daily )": "run-parts",
    "sleep 10; python3 /x/y.py": "y",
    "pg_dump db | gzip > /b/db.gz": "pg_dump",
    "if true; then /x/y.sh; fi": "y",
    "echo 'not closed": "echo",
    "/x/y.sh # rota: tag=a": "y",
    "cd /tmp": "cd",
    "": "sh",
    "#": "sh",
    "# rota: name=x": "sh",
    "/x/y.sh\n/x/z.sh": "y",
    "2>/dev/null /x/y.sh": "y",
}


@pytest.mark.parametrize(("command", "name"), COMMANDS.items(), ids=COMMANDS)
def test_the_name_of_a_command(command: str, name: str) -> None:
    """A command is called after the script that it runs in the end, else after its program."""
    assert naming.name_of(shlex.split(command)) == name


@pytest.mark.parametrize(("line", "name"), LINES.items(), ids=repr)
def test_the_name_of_a_line(line: str, name: str) -> None:
    """A line of shell is called after the first command in it that does not only prepare."""
    assert naming.name_of_line(line) == name


@pytest.mark.parametrize("line", ["rota exec -- x", "cd / && A=1 /opt/bin/rota exec x", "env A=1 rota exec --name y x"])
def test_a_line_that_begins_a_run(line: str) -> None:
    """A line that says rota exec is known."""
    assert naming.begins_a_run(line)
    assert not naming.begins_a_run(line.replace("exec", "ls"))


def test_options_in_both_forms() -> None:
    """`--grace 15m` and `--grace=15m` are the same; what follows the command is the command's."""
    spaced = options.parse(["--grace", "15m", "--tag", "a", "--tag=b", "--tail", "64k", "cmd", "--name", "x", "--"])
    joined = options.parse(["--grace=15m", "--tag=a", "--tag", "b", "--tail=65536", "--", "cmd", "--name", "x", "--"])
    assert vars(spaced) == vars(joined)
    assert (spaced.grace, spaced.tags, spaced.tail, spaced.name) == ("15m", ["a", "b"], 65536, None)
    assert spaced.command == ["cmd", "--name", "x", "--"]


def test_a_line_for_a_shell() -> None:
    """-c takes a line for /bin/sh; what follows are its $0, $1, …"""
    read = options.parse(["--name=x", "-c", "echo $1", "zero", "one"])
    assert (read.line, read.command) == ("echo $1", ["/bin/sh", "-c", "echo $1", "zero", "one"])


@pytest.mark.parametrize(
    "words", [[], ["--"], ["--name"], ["--grcae=1", "x"], ["--tail", "x", "y"], ["--tail=", "y"], ["-x", "y"], ["-c"]]
)
def test_wrong_usage_is_said(words: list[str]) -> None:
    """What cannot be read is refused, in words."""
    with pytest.raises(options.WrongUsage, match=r"\w+ \w+"):
        options.parse(words)


def test_a_remark_gives_way_to_options() -> None:
    """What an option says is not overruled by a remark; unknown words in a remark are passed over."""
    read = options.parse(["--name", "mine", "-c", 'x # rota: name=other grace=5m max_duration="1h 30m" colour=blue tag=a'])
    options.take_remark(read)
    assert (read.name, read.grace, read.max_duration, read.tags) == ("mine", "5m", "1h 30m", ["a"])
