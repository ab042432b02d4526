"""No rota: what stands in its place when a cell is run without it."""


def watch():
    """Nothing."""


class task:  # noqa: N801 (its name in rota)
    """The function itself, or a block."""

    def __new__(cls, given):
        return given if callable(given) else super().__new__(cls)

    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


def record(**_):
    """Nothing."""
