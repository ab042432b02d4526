"""The modules that the browser draws with, read as text: none sets markup, none calls out, all fit together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import rota_dashboard
from rota.rules.level import LEVELS
from rota_dashboard import parts
from rota_dashboard.shape import words

MODULES = sorted(parts.WEB.glob("*.js"))
SVG = "http://www.w3.org/2000/svg"
PAGES = "".join(file.read_text() for file in Path(rota_dashboard.__file__).parent.rglob("*.py"))
DRAWN = set(re.findall(r'parts\.draw\(\s*"(\w+)"', PAGES))

_IMPORT = re.compile(r'^import \{ ([^}]*) \} from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
_ANY_IMPORT = re.compile(r"^import\b|\bimport\(", re.MULTILINE)


def source(name: str) -> str:
    return (parts.WEB / name).read_text()


def imports(module: Path) -> dict[str, set[str]]:
    """File → the names that a module takes of it."""
    return {
        name: {each.split(" as ")[0].strip() for each in names.split(",")} for names, name in _IMPORT.findall(module.read_text())
    }


FORBIDDEN = [
    r"innerHTML", r"outerHTML", r"insertAdjacentHTML", r"document\.write", r"\beval\b", r"\bFunction\(", r"setHTML", r"srcdoc",
    r"createContextualFragment", r"DOMParser", r"javascript:", r"set(Timeout|Interval)\(\s*[\"'`]", r"localStorage",
    r"document\.cookie",
]  # fmt: skip


@pytest.mark.parametrize("module", MODULES, ids=lambda each: each.name)
def test_no_part_sets_markup_or_makes_code_of_text(module):
    """Whatever text a part gets, it can only be set as text; and what a person gave is kept nowhere that a script reads."""
    assert [pattern for pattern in FORBIDDEN if re.search(pattern, module.read_text())] == []


@pytest.mark.parametrize(
    "file", [*MODULES, *sorted(parts.WEB.glob("*.css")), *sorted(parts.WEB.glob("*.svg"))], ids=lambda each: each.name
)
def test_no_part_names_another_server(file):
    """Nothing is fetched from anywhere else."""
    text = file.read_text().replace(f'"{SVG}"', "")
    assert re.findall(r"(?:https?:|wss?:|[\"'`(])//[\w.]+", text) == []
    assert "@import" not in text


@pytest.mark.parametrize("module", MODULES, ids=lambda each: each.name)
def test_what_a_part_takes_of_another_is_there(module):
    """Every import names a file beside it, and in it what that file gives; there is no import of any other form."""
    taken = imports(module)
    assert len(_ANY_IMPORT.findall(_without_comments(module.read_text()))) == len(_IMPORT.findall(module.read_text()))
    for name, wanted in taken.items():
        assert name.startswith("./")
        other = parts.WEB / name
        assert other.is_file(), name
        assert wanted <= set(_EXPORT.findall(other.read_text())), name


def test_what_a_part_gives_is_taken_by_another():
    """Nothing is exported that nobody uses."""
    given = {(module.name, name) for module in MODULES for name in _EXPORT.findall(module.read_text())}
    taken = {(name.removeprefix("./"), each) for module in MODULES for name, wanted in imports(module).items() for each in wanted}
    assert given - taken == {("marks.js", "MARKS")}  # read below


def test_every_part_that_a_page_draws_is_a_module():
    """With a default export; and every such module is drawn by some page."""
    assert {module.stem for module in MODULES if re.search(r"^export default part\(", module.read_text(), re.MULTILINE)} == DRAWN
    assert len(DRAWN) > 10


def test_parts_that_read_bytes_themselves_are_those_that_are_given_bytes():
    """All others are given JSON."""
    read = {module.stem for module in MODULES if re.search(r"^\}, true\);$", module.read_text(), re.MULTILINE)}
    assert read == set(re.findall(r'parts\.draw\("(\w+)", \w+\.packed\(', PAGES)) == {"waterfall", "timeline"}


def test_the_modules_are_brackets_that_close():
    """As far as can be seen without running them: outside texts and comments each bracket has its other."""
    for module in MODULES:
        text = _without_texts(_without_comments(module.read_text()))
        for opening, closing in ("()", "[]", "{}"):
            assert text.count(opening) == text.count(closing), module.name


def _without_comments(text: str) -> str:
    return re.sub(r"(?m)^\s*//.*$|(?<=[;,{})\]]) // .*$", "", re.sub(r"(?s)/\*.*?\*/", "", text))


def _without_texts(text: str) -> str:
    return re.sub(r'"[^"\n]*"|\'[^\'\n]*\'|/[\[\\^][^\n]*?/g?(?=[.,;)])', "", text)


# -- letters: what Python says and the browser draws ------------------------------------------------------------------------

MARKS = {
    letter: (word, meaning)
    for letter, word, meaning in re.findall(r'^ {2}"?(\w|\?)"?: \["([^"]+)", "(\w+)",', source("marks.js"), re.MULTILINE)
}
LETTERS = {*words.LETTERS.values(), words.WAITING}


def test_every_letter_has_one_shape():
    """Each that Python can say is drawn, and none is drawn that it never says."""
    assert set(MARKS) == LETTERS
    paths = re.findall(r"^ {2}\"?.\"?: \[.*\],$", source("marks.js"), re.MULTILINE)
    assert len({each.partition(":")[2] for each in paths}) == len(paths) == len(LETTERS)


def test_a_letter_means_the_same_on_both_sides():
    """Good, bad, warn, odd, live, or mute where nothing else is said."""
    assert {letter: meaning for letter, (_, meaning) in MARKS.items()} == {
        letter: words.MEANING.get(letter, "mute") for letter in LETTERS
    }


def test_a_letter_is_called_by_its_outcome():
    """The word that is read aloud is the first outcome that has the letter."""
    named: dict[str, str] = {}
    for outcome, letter in words.LETTERS.items():
        named.setdefault(letter, words.plain(outcome))
    assert {letter: word.partition(",")[0] for letter, (word, _) in MARKS.items()} == {**named, words.WAITING: "waiting"}


def test_what_went_wrong_is_the_same_on_both_sides():
    """Bad states, and slots that were missed."""
    found = re.search(r'export const BAD = "(\w+)";', source("marks.js"))
    assert found is not None
    assert set(found[1]) == {words.letter(each) for each in (*words.BAD_STATES, "missed")}


def test_what_is_drawn_in_a_calendar_and_a_legend_are_letters():
    """No shape of an outcome that does not exist."""
    legend = re.search(r'legend\("([^"]+)"\)', source("list.js"))
    assert legend is not None
    inside = re.findall(r'^ {2}(\w): "', source("calendar.js"), re.MULTILINE)
    hollow = re.findall(r'["{ ,]\s?"?(\w|\?)"?: \["', source("calendar.js"))
    assert inside
    assert hollow
    assert {*legend[1], *inside, *hollow} <= LETTERS


def test_levels_are_numbered_alike():
    """A number in a list is the same level on both sides."""
    found = re.search(r"const LEVELS = (\[[^\]]+\]);", source("levels.js"))
    assert found is not None
    assert tuple(re.findall(r'"(\w+)"', found[1])) == LEVELS


def test_every_meaning_has_a_colour():
    """A class that the style sheet draws."""
    sheet = source("look.css")
    assert [kind for kind in {meaning for _, meaning in MARKS.values()} if not re.search(rf"\.{kind}\b", sheet)] == []
