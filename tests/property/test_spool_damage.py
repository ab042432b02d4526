"""A damaged byte in a spool costs the line it is in, and no other."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from otlp_receiver import state_line

from rota.agent.carrier import Carrier, parted
from rota.agent.spool import Spool

LINES = [state_line("succeeded", run_id="0192a4b0-0000-7000-8000-%012d" % number) for number in range(5)]
WHOLE = b"".join(LINES)


class Shipper:
    """Takes everything."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def ship(self, signal: str, lines: Sequence[bytes]) -> list[int]:
        assert signal == "logs"
        self.lines += lines
        return []


def carried(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """What of a spool file is delivered, and what is set aside. Nothing else may be left."""
    with tempfile.TemporaryDirectory() as directory:
        spool, shipper = Spool(directory), Shipper()
        Path(spool.left).mkdir()
        Path(spool.left, "4242-aa.logs.jsonl").write_bytes(data)
        Carrier(shipper, lambda _: None).round(spool, is_resident=False)  # type: ignore[arg-type]
        assert list(Path(spool.left).iterdir()) == []
        aside = [line for file in Path(spool.bad).glob("*") for line in file.read_bytes().split(b"\n")]
        return shipper.lines, aside


@given(position=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_one_byte_costs_one_record_at_most(position: int, byte: int) -> None:
    """Whichever byte becomes whichever: every other line is delivered, in order, and what is damaged is delivered or kept."""
    damaged = WHOLE[:position] + bytes([byte]) + WHOLE[position + 1 :]
    hit = WHOLE[:position].count(b"\n")
    delivered, aside = carried(damaged)
    others = [line.rstrip(b"\n") for number, line in enumerate(LINES) if number != hit]
    assert [line for line in delivered if line in others] == others
    kept = [*delivered, *aside]
    for piece in filter(bytes.strip, damaged.split(b"\n")):
        assert piece in kept or all(half in kept for half in parted(piece, "logs"))


@given(data=st.data())
def test_what_is_torn_off_costs_the_torn_line(data: st.DataObject) -> None:
    """A writer killed in the middle of a line, or a disk that kept only a part of the file."""
    size = data.draw(st.integers(1, len(WHOLE)))
    delivered, _ = carried(WHOLE[:size])
    assert delivered[: WHOLE[:size].count(b"\n")] == [line.rstrip(b"\n") for line in LINES][: WHOLE[:size].count(b"\n")]
