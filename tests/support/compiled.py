"""Whether the modules that setup.py compiles run compiled here."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from shared.flow import visits

CHECKOUT = Path(__file__).resolve().parents[2]


def is_compiled(file: str | None) -> bool:
    """Whether this file, of a module, is compiled."""
    return (file or "").endswith(tuple(EXTENSION_SUFFIXES))


def runs_compiled() -> bool:
    """Whether this process imports a compiled build."""
    return is_compiled(visits.__file__)


def compiled_sources() -> Sequence[str]:
    """The sources of the modules to compile, from the checkout's root."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    return [str(source) for source in project["tool"]["andon"]["compiled"]]
