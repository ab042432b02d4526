"""What a command is called: the stem of the script in it, whatever stands before the script."""

from __future__ import annotations

import os

SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "rbash", "su")
# Commands that run another one: the letters of their options that take a value, and how many words of their own come first.
PREFIXES = {
    "env": ("uSC", 0), "nice": ("n", 0), "ionice": ("cnpPu", 0), "chrt": ("TPD", 1), "taskset": ("", 1), "nohup": ("", 0),
    "setsid": ("", 0), "timeout": ("ks", 1), "flock": ("wE", 1), "sudo": ("CDgGhpRrtTuU", 0), "doas": ("uC", 0),
    "runuser": ("u", 0),
    "setpriv": ("", 0), "time": ("fo", 0), "stdbuf": ("ioe", 0), "chronic": ("", 0), "systemd-cat": ("tp", 0), "busybox": ("", 0),
    "command": ("", 0), "exec": ("a", 0), "uv": ("", 1), "poetry": ("", 1), "pdm": ("", 1), "pipenv": ("", 1), "conda": ("np", 1),
    "caffeinate": ("tw", 0),
}  # fmt: skip
_LONG_WITH_VALUE = (
    "--unset", "--chdir", "--adjustment", "--class", "--signal", "--kill-after", "--wait", "--timeout", "--user", "--group",
    "--name", "--with",
)  # fmt: skip
_INTERPRETERS = {
    "python": "WX",
    "pypy": "WX",
    "perl": "I",
    "ruby": "rI",
    "node": "r",
    "php": "dcz",
    "Rscript": "",
    "java": "",
    "lua": "",
}
_PREPARATIONS = (
    "cd", ".", "source", "export", "set", "unset", "umask", "ulimit", "test", "[", "[[", "sleep", ":", "true", "eval", "trap",
    "mkdir", "fi", "done", "}",
)  # fmt: skip
_SPECIAL = frozenset("'\"\\#()<>;|&\n")
_REDIRECTION = "\0"  # stands for one; the next word is its file
_KEYWORDS = ("if", "then", "elif", "else", "while", "until", "do", "!", "{")


def name_of(command: list[str]) -> str:
    """``backup`` for ``env A=1 nice -n 5 python /opt/backup.py -v``; the first word's stem when there is no better one."""
    words = list(command)
    while words:
        word = words.pop(0)
        base = os.path.basename(word)
        if _is_assignment(word):
            continue
        if base in PREFIXES:
            words = _without_options(base, words)
            if words[:1] == ["-c"]:  # flock FILE -c LINE
                return name_of_line(" ".join(words[1:2]))
            continue
        return _name(base, words)
    return stem(command[0]) if command else "command"


def name_of_line(line: str) -> str:
    """The same for a line of shell: of its first command that is no preparation (``cd``, ``test``, ``.``, …)."""
    commands = [words for words in _commands(line) if words]
    real = [words for words in commands if _first_word(words) not in _PREPARATIONS]
    return name_of((real or commands or [["sh"]])[0])


def begins_a_run(line: str) -> bool:
    """Whether a shell line says ``rota exec`` itself."""
    return any(os.path.basename(a) == "rota" and b == "exec" for words in _commands(line) for a, b in zip(words, words[1:]))


def stem(path: str) -> str:
    """``backup`` for ``/opt/backup.sh``."""
    return os.path.splitext(os.path.basename(path.rstrip("/")))[0] or "command"


def _name(base: str, words: list[str]) -> str:
    """Of a command whose first word is ``base``."""
    kind = base.rstrip("0123456789.")
    if base in SHELLS:
        return _script(base, words, "oO")
    return _script(kind, words, _INTERPRETERS[kind]) if kind in _INTERPRETERS else stem(base)


def _script(kind: str, words: list[str], with_value: str) -> str:
    """Of an interpreter's command line: its script, its module, or what it is itself."""
    left = list(words)
    while left and left[0].startswith("-"):
        option = left.pop(0)
        if option == "-":
            return kind if kind != "python" else "stdin"
        if option == "-m" and kind == "python" and left:
            return left[0].rpartition(".")[2]
        if option[-1] == "c" and option[:2] != "--" and kind != "php":
            return name_of_line(left[0]) if kind in SHELLS and left else kind
        if option[-1] in with_value and option[:2] != "--" and (len(option) == 2 or kind in SHELLS):
            left = left[1:]
    if kind == "su":  # su USER -c LINE
        return name_of_line(" ".join(left[left.index("-c") + 1 :][:1])) if "-c" in left else kind
    return stem(left[0]) if left else kind


def _without_options(base: str, words: list[str]) -> list[str]:
    """What stands after a prefix's own options and words."""
    with_value, own = PREFIXES[base]
    left = _skip(with_value, words)
    return _skip(with_value, left[own:]) if own else left


def _skip(with_value: str, words: list[str]) -> list[str]:
    left = list(words)
    while left and left[0].startswith("-") and (left[0] != "-c" or "c" in with_value):
        option = left.pop(0)
        if option == "--":
            break
        takes_one = option in _LONG_WITH_VALUE if option[:2] == "--" else option[-1] in with_value
        if takes_one and left:
            left.pop(0)
    return left


def _commands(line: str) -> list[list[str]]:
    """The words of each command of a shell line; roughly: good enough for a name."""
    if _SPECIAL.isdisjoint(line):
        return [line.split()]
    import shlex  # 8 ms, which most lines of a crontab need not pay

    lexer = shlex.shlex(line.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.commenters, lexer.whitespace_split = "", True
    try:
        words = list(lexer)
    except ValueError:  # a quote without its partner: the shell will say so
        words = line.split()
    commands: list[list[str]] = [[]]
    for word in words:
        if word.startswith("#"):
            break
        if not word.strip("();<>|&"):
            _operate(word, commands)
        elif commands[-1] or word not in _KEYWORDS:
            commands[-1].append(word)
    return [_without_redirections(words) for words in commands]


def _operate(operator: str, commands: list[list[str]]) -> None:
    """``&&``, ``;`` and the like begin another command; ``2>`` and the like do not."""
    if not operator.strip("<>&") and operator.strip("&"):
        if commands[-1] and commands[-1][-1].isdigit():
            commands[-1].pop()
        commands[-1].append(_REDIRECTION)
    else:
        commands.append([])


def _without_redirections(words: list[str]) -> list[str]:
    return [word for before, word in zip(["", *words], words) if _REDIRECTION not in (before, word)]


def _first_word(words: list[str]) -> str:
    return next((word for word in words if not _is_assignment(word)), "")


def _is_assignment(word: str) -> bool:
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isidentifier()
