"""What `make test-compiled` and `make bench` run is compiled, and from the sources of this checkout."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import shared
from tests.support.compiled import CHECKOUT, compiled_sources, is_compiled, runs_compiled

pytestmark = pytest.mark.skipif(not runs_compiled(), reason="needs compiled modules: make test-compiled")
BUILD = Path(shared.__path__[0]).parent


def sources(root: Path) -> dict[Path, bytes]:
    """Of all code, by its path below the root."""
    return {
        path.relative_to(root): path.read_bytes()
        for folder in ("services", "shared")
        for path in (root / folder).rglob("*.py")
    }


def test_every_listed_module_is_compiled() -> None:
    modules = [source.removesuffix(".py").replace("/", ".") for source in compiled_sources()]

    assert [module for module in modules if not is_compiled(import_module(module).__file__)] == []


def test_it_was_built_from_these_sources() -> None:
    built, here = sources(BUILD), sources(CHECKOUT)

    assert built.keys() == here.keys()
    assert [path for path in built if built[path] != here[path]] == []
