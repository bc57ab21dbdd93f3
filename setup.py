"""Compiles hot modules with mypyc in a wheel that is built with ANDON_COMPILE=1; all else is in pyproject.toml.

Never in an editable install: after an edit that would go on running the old code.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
import tomllib
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup


def extensions() -> list[Extension]:
    """Those of the modules in pyproject.toml; none, with a line that says why, where they cannot be built."""
    if os.environ.get("ANDON_COMPILE") != "1" or "bdist_wheel" not in sys.argv:
        return []
    if lacking := _lacking():
        print(f"andon: {lacking} is missing, so this wheel is pure Python: slower, the same results", file=sys.stderr)
        return []
    from mypyc.build import mypycify

    modules = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["andon"]["compiled"]
    return list(mypycify(modules, debug_level="0", group_name="andon"))


def _lacking() -> str | None:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        return f"the compiler {compiler}"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python.h"
    return None if find_spec("mypyc") else "mypyc"


setup(ext_modules=extensions())
