"""The kinds of sources, one module each. A new kind is a new module here: nothing else changes."""

from __future__ import annotations

import importlib
import pkgutil

from services.intake.sources.base import Source


def kinds() -> dict[str, type[Source]]:
    """Every kind by its name, found in the modules of this package."""
    found: dict[str, type[Source]] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Source) and value.kind:
                found[value.kind] = value
    return found
