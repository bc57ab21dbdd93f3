"""What `make test-compiled` and `make bench` run is compiled, and from the sources of this checkout."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

import shared
from tests.support.compiled import CHECKOUT, compiled_sources, is_compiled, runs_compiled

pytestmark = pytest.mark.skipif(not runs_compiled(), reason="needs a C compiler: make test-compiled")
BUILD = Path(shared.__path__[0]).parent


def test_every_listed_module_is_compiled() -> None:
    modules = [source.removesuffix(".py").replace("/", ".") for source in compiled_sources()]

    assert [module for module in modules if not is_compiled(import_module(module).__file__)] == []


def test_it_was_built_from_these_sources() -> None:
    built = {path.relative_to(BUILD) for folder in ("services", "shared") for path in (BUILD / folder).rglob("*.py")}
    here = {
        path.relative_to(CHECKOUT) for folder in ("services", "shared") for path in (CHECKOUT / folder).rglob("*.py")
    }

    assert built == here
    assert [path for path in built if (BUILD / path).read_bytes() != (CHECKOUT / path).read_bytes()] == []
