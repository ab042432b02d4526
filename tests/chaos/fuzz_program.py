"""One door under atheris: ``fuzz_program.py DOOR FOLDER [libFuzzer's options]``; valid inputs are put into the folder first."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rota_collector"]):
    from chaos.decoders import examine
from chaos.mutations import Inputs, valid


def main(door: str, folder: str, *options: str) -> None:
    """Until libFuzzer has enough."""
    for number, data in enumerate(valid(door)):
        Path(folder, f"valid-{number}").write_bytes(data)

    def mutated(data: bytes, size: int, seed: int) -> bytes:
        if random.Random(seed).random() < 0.5:
            return bytes(atheris.Mutate(data, size))
        return Inputs.of(data, seed)[:size]

    atheris.Setup([sys.argv[0], folder, *options], lambda data: examine(door, data), custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
