"""Paths outside of the repository, in one place: ANDON_TEST_DATA, by default `../shared` beside the clone.

Real event logs may not be copied, so a stranger's clone lacks them; a test that needs one skips and names the variable.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE, WHOLE = "ANDON_TEST_DATA", "ANDON_TEST_WHOLE"
# The proofs on long logs take many minutes, so `make test` uses the beginning of each log, and `make proofs` all of it.
IS_WHOLE = os.environ.get(WHOLE) == "1"
ROOT = Path(os.environ.get(VARIABLE) or Path(__file__).parents[3] / "shared").resolve()


def only_whole() -> pytest.MarkDecorator:
    """Leaves a test to `make proofs`; one of containers, to `make test-containers` with this variable."""
    return pytest.mark.skipif(not IS_WHOLE, reason=f"takes minutes: {WHOLE}=1")


def data(*parts: str) -> Path:
    """A file or folder of the test data; skips the test where it is missing."""
    path = ROOT.joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"{VARIABLE}: no {'/'.join(('data', *parts))} in {ROOT}")
    return path
