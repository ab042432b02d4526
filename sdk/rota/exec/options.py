"""The command line of ``rota exec``. Read without ``argparse``, whose import would double what ``rota exec`` costs."""

from __future__ import annotations

OPTIONS = (  # flag, what it takes, what it is for
    (
        "--name",
        "NAME",
        "the workflow; without it ROTA_WORKFLOW, else taken from the command: backup for `python /opt/backup.py -v`",
    ),
    ("--schedule", "SPEC", "when it should run: `0 2 * * *`, `every 5m`, `Mon..Fri 02:00`"),
    ("--tz", "ZONE", "time zone of the schedule"),
    ("--grace", "DURATION", "how late it may start"),
    ("--max-duration", "DURATION", "how long it may take"),
    ("--tag", "TAG", "a tag of the run; may be repeated"),
    ("--attempts", "N", "try so often; `retry.attempts` of its stored policy comes before it, as each key of `retry` does"),
    ("--wait", "DURATION", "how long to wait before the next attempt, where the policy has no `retry.wait`; 30s when left out"),
    ("--tail", "BYTES", "keep the last bytes of its output, at most 1M; the command then writes into pipes"),
)
SHELL_OPTION = ("-c", "LINE", "a line for /bin/sh instead of a command; must come last, what follows are its $0, $1, …")
MAX_TAIL = 1 << 20
MOST_ATTEMPTS = 1000  # as in rota.rules.retry
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class WrongUsage(Exception):
    """The command line cannot be read. Its text says what is wrong with it."""


class Options:
    """What was asked for. ``line`` is the text of ``-c``; ``command`` is what to run in either case. ``tail``: bytes, or 0."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.schedule: str | None = None
        self.tz: str | None = None
        self.grace: str | None = None
        self.max_duration: str | None = None
        self.tags: list[str] = []
        self.tail = 0
        self.attempts = 0
        self.wait: str | None = None
        self.line: str | None = None
        self.command: list[str] = []

    def put(self, flag: str, text: str) -> None:
        """Take one option. Raises WrongUsage for a flag that there is not, and for a value that cannot be read."""
        if flag == "--tag":
            self.tags.append(text)
        elif flag == "--tail":
            self.tail = size(text)
        elif flag == "--attempts":
            self.attempts = count(text)
        elif flag == "--wait":
            self.wait = duration(text)
        elif flag in [known[0] for known in OPTIONS]:
            setattr(self, flag[2:].replace("-", "_"), text)
        else:
            raise WrongUsage("there is no option %s" % flag)


def parse(words: list[str]) -> Options:
    """What stands after ``rota exec``. Raises WrongUsage.

    Schedule, zone and durations are not judged here: they are sent as declared, and a typo in one does not stop a job.
    """
    options = Options()
    left = list(words)
    while left and left[0].startswith("-"):
        word = left.pop(0)
        if word == "--":
            break
        flag, equals, text = word.partition("=")
        if not equals and not left:
            raise WrongUsage("%s needs a value" % word if word[:2] != "--" or _is_known(word) else "there is no option %s" % word)
        if word == "-c":
            options.line = left.pop(0)
            options.command = ["/bin/sh", "-c", options.line, *left]
            return options
        options.put(flag, text if equals else left.pop(0) if _is_known(flag) else "")
    if not left:
        raise WrongUsage("what is to be run? Say: rota exec -- COMMAND …")
    options.command = left
    return options


def size(text: str) -> int:
    """``4096``, ``64k``, ``1M`` in bytes, at most ``MAX_TAIL``. Raises WrongUsage."""
    digits, unit = (text[:-1], _UNITS.get(text[-1:].lower())) if text[-1:].isalpha() else (text, 1)
    if not (digits.isascii() and digits.isdigit()) or unit is None:
        raise WrongUsage("--tail %r is no number of bytes: write it like 4096, 64k, 1M" % text)
    return min(int(digits[:12]) * unit, MAX_TAIL)


def count(text: str) -> int:
    """A number of attempts. Raises WrongUsage."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_ATTEMPTS):
        raise WrongUsage("--attempts %r is no number from 1 to %d" % (text, MOST_ATTEMPTS))
    return int(text)


def duration(text: str) -> str:
    """The same text. Raises WrongUsage when it is none."""
    from rota.rules.durations import seconds

    try:
        seconds(text)
    except ValueError as error:
        raise WrongUsage("--wait %s" % error) from None
    return text


def remark(line: str) -> dict[str, str]:
    """What a comment in a shell line says, for lines not written for ``rota exec``: ``# rota: name=etl schedule="@daily"``.

    Keys are the options without their dashes. A remark that cannot be read says nothing.
    """
    _, mark, text = line.rpartition("# rota:")
    if not mark:
        return {}
    import shlex

    try:
        words = shlex.split(text.partition("\n")[0])
    except ValueError:
        return {}
    pairs = [word.partition("=")[::2] for word in words if "=" in word]
    return {"--" + key.replace("_", "-"): value for key, value in pairs}


def take_remark(options: Options) -> None:
    """Let the remark in ``-c``'s line say what the options do not."""
    said = remark(options.line) if options.line else {}
    for flag, text in said.items():
        held: object = getattr(options, flag[2:].replace("-", "_"), None)
        if held and flag != "--tag":
            continue
        try:
            options.put(flag, text)
        except WrongUsage:  # a comment is no command line: what is wrong in it stops nothing
            continue


def _is_known(flag: str) -> bool:
    return any(flag == known[0] for known in OPTIONS)
