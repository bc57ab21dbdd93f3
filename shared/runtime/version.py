"""The version of Andon: of the installed package, or of the source it runs from, as in the container image."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@cache
def product_version() -> str:
    """Such as `0.1.0`. Raises OSError where there is neither a package nor its source."""
    try:
        return metadata.version("andon")
    except metadata.PackageNotFoundError:
        return str(tomllib.loads(_PROJECT.read_text())["project"]["version"])
