"""Finds the connectors: every folder with a `webhook` module, and perhaps an `api` module. There is no list to edit.

Classes of APIs are found by `apis`: who only takes webhooks loads no HTTP client.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from shared import connectors
from shared.connectors.base.source import Source


def kinds() -> dict[str, type[Source]]:
    """The webhook class of every connector, by kind."""
    return {value.kind: value for value in classes("webhook") if issubclass(value, Source) and value.kind}


@cache
def classes(part: str) -> tuple[type[Any], ...]:
    """The classes in the modules named `part`, folder by folder."""
    return tuple(_found(part))


def _found(part: str) -> Iterator[type[Any]]:
    for folder in pkgutil.iter_modules(connectors.__path__, f"{connectors.__name__}."):
        if folder.ispkg and find_spec(f"{folder.name}.{part}") is not None:
            module = importlib.import_module(f"{folder.name}.{part}")
            yield from (value for value in vars(module).values() if isinstance(value, type))
