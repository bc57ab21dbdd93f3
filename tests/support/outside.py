"""Paths outside of the repository, in one place: ANDON_TEST_DATA, by default `../shared` beside the clone.

Real event logs may not be copied, so a stranger's clone lacks them; a test that needs one skips and names the variable.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "ANDON_TEST_DATA"
ROOT = Path(os.environ.get(VARIABLE) or Path(__file__).parents[3] / "shared").resolve()


def data(*parts: str) -> Path:
    """A file or folder of the test data; skips the test where it is missing."""
    path = ROOT.joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"{VARIABLE}: no {'/'.join(('data', *parts))} in {ROOT}")
    return path
