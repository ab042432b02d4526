"""What the agent says to people."""

from __future__ import annotations

from rota.agent.report import Report


def test_a_line_is_said_once(capsys):
    """Again and again the same helps nobody."""
    report = Report()
    for _ in range(3):
        report("cannot do it")
    report("another")
    assert capsys.readouterr().err == "rota agent: cannot do it\nrota agent: another\n"


def test_nobody_forges_a_line(capsys):
    """A path that a user chose neither ends the line nor steers the terminal of who reads it."""
    Report()("refused: /x\nrota agent: ready\x1b[2J\u2028é\udcff")
    assert capsys.readouterr().err == "rota agent: refused: /x?rota agent: ready?[2J?é?\n"
