"""The CRMs that can be asked, one module each. A new one is a new module here: nothing else changes."""

from __future__ import annotations

import importlib
import pkgutil

from services.enricher.crms.base import Crm


def crms() -> dict[str, type[Crm]]:
    """Every CRM by its kind, found in the modules of this package."""
    found: dict[str, type[Crm]] = {}
    for module in pkgutil.iter_modules(__path__):
        for value in vars(importlib.import_module(f"{__name__}.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, Crm) and value.kind:
                found[value.kind] = value
    return found
