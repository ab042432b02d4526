"""What may be said of an SQL statement: its verb and its table, and its text only when that holds no values."""

from __future__ import annotations

from rota.instrument._call import Answer, Label, Labels, begin
from rota.wire import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rota._run import Run
    from rota._task import Task

LOOKED_AT = 4096  # characters of a statement; a longer one is told by its beginning, and never by its text
_BEFORE_TABLE = {
    "SELECT": "FROM", "WITH": "FROM", "DELETE": "FROM", "INSERT": "INTO", "REPLACE": "INTO", "MERGE": "INTO",
    "UPDATE": "UPDATE", "COPY": "COPY", "CREATE": "TABLE", "DROP": "TABLE", "ALTER": "TABLE", "TRUNCATE": "TABLE",
}  # fmt: skip
_PASSED_OVER = ("IF", "NOT", "EXISTS", "ONLY", "TABLE")
_PLAIN = ("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "VACUUM", "ANALYZE", "SET", "SHOW", "CALL", "EXPLAIN")


class Statements(Labels):
    """The labels of one library's statements. ``system`` is the convention's ``db.system.name``."""

    def __init__(self, library: str, system: str) -> None:
        super().__init__(self._by_text)
        self._library, self._system = library, system
        self._by_shape = Labels(self._of_shape)  # texts with values in them are many; their shapes are few

    def start(self, place: Run | Task, statement: object) -> Answer | None:
        """Open the call of a statement."""
        return begin(self.label(statement), place, Answer)

    def label(self, statement: object) -> Label:
        """The label of a statement, whatever it is."""
        text = statement if type(statement) is str else ""
        return self[text if len(text) <= LOOKED_AT else text[: LOOKED_AT + 1]]  # type: ignore[no-any-return]

    def _by_text(self, statement: str) -> Label:
        return self._by_shape[shape(statement)]  # type: ignore[no-any-return]

    def _of_shape(self, parts: tuple[str, str, str]) -> Label:
        operation, summary, text = parts
        pairs: dict[str, object] = {
            names.DB_SYSTEM: self._system, names.DB_OPERATION: operation or None,
            names.DB_SUMMARY: summary or None, names.DB_QUERY: text or None,
        }  # fmt: skip
        return Label(self._library, summary or self._system, pairs)


def shape(statement: str) -> tuple[str, str, str]:
    """(operation, summary, text) of a statement: ``("SELECT", "SELECT orders", "SELECT * FROM orders WHERE id = ?")``."""
    words = _words(statement)
    operation = words[0].upper() if words else ""
    if operation not in _BEFORE_TABLE and operation not in _PLAIN:
        return "", "", ""  # not known: nothing is repeated of it
    table = "" if "\\" in statement or "$" in statement else _table(words, operation)
    return operation, (operation + " " + table).rstrip(), "" if _holds_values(statement) else statement.strip()


def _words(statement: str) -> list[str]:
    outside = " ' ".join(_uncommented(statement).split("'")[::2])  # every other piece is inside quotes, doubled ones included
    return outside.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").replace(";", " ").split()


def _uncommented(statement: str) -> str:
    """Without the comments that stand before it."""
    text = statement.lstrip()
    while text.startswith(("--", "/*")):
        _, _, text = text.partition("\n" if text.startswith("--") else "*/")
        text = text.lstrip()
    return text


def _table(words: list[str], operation: str) -> str:
    keyword = _BEFORE_TABLE.get(operation)
    upper = [word.upper() for word in words]
    if keyword not in upper or "--" in words:
        return ""
    for word, capital in zip(words[upper.index(keyword) + 1 :], upper[upper.index(keyword) + 1 :]):
        if capital not in _PASSED_OVER:
            return word if word.replace(".", "").replace("_", "").isalnum() and not word[0].isdigit() else ""
    return ""


def _holds_values(statement: str) -> bool:
    """Whether a literal may be in it: quotes of any kind, digits that are no part of a name, comments, or too long to look at."""
    if len(statement) > LOOKED_AT or any(mark in statement for mark in ("'", '"', "\\", "--", "/*")):
        return True
    before = " "
    for character in statement:
        if character.isdigit() and not (before.isalnum() or before in "_$?:"):
            return True
        before = character
    return "$$" in statement
