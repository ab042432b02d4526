"""What a room needs: the system's own package, which its extra brings, not older than it was tested with."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any


def needed(extra: str, module: str, at_least: str, package: str | None = None, below: str | None = None) -> Any:
    """The module of another system.

    Args:
        extra: of rota, which brings it.
        module: its name.
        at_least: the oldest version that the room works with.
        package: the distribution's name, where it is another one.
        below: the first version that it does not work with.

    Raises:
        ImportError: it is not there, older, or too new. The message says what to install.
    """
    how = "pip install 'rota[%s]'" % extra
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ImportError("rota_integrations.%s cannot import %s (%s): %s" % (extra, module, error, how)) from error
    version = metadata.version(package or module)
    if _numbers(version) < _numbers(at_least) or (below is not None and _numbers(version) >= _numbers(below)):
        wanted = "%s %s" % (module, at_least) + (", below %s" % below if below else "")
        raise ImportError("rota_integrations.%s needs %s; %s is installed: %s" % (extra, wanted, version, how))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    numbers = []
    for part in version.split(".")[:3]:
        digits = "".join(character for character in part if character.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)
