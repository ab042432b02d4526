"""The systems that are observed: a module each, with ``SYSTEMS`` by the names that the contract's tests show."""

from __future__ import annotations

import importlib
import pkgutil

from observers.system import System

SYSTEMS: dict[str, System] = {}
for _found in sorted({each.name for each in pkgutil.iter_modules(__path__)} - {"contract", "system"}):
    SYSTEMS |= getattr(importlib.import_module(f"{__name__}.{_found}"), "SYSTEMS", {})
