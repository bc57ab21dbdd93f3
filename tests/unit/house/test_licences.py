"""Everything that Andon is installed with may be used and passed on under its licence."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==", re.MULTILINE)
# Permissive ones; MPL, whose duties end at its own files; of expressions, each part.
ALLOWED = re.compile(r"MIT|BSD|Apache|ISC|PSF|Python Software|Python-2|MPL|Mozilla|Unlicense|Zlib|CC0", re.IGNORECASE)
FORBIDDEN = re.compile(r"\bA?GPL|Affero|General Public|SSPL|BUSL|Commons Clause|proprietary", re.IGNORECASE)
NAMES = sorted(set(PINNED.findall((ROOT / "requirements" / "import.txt").read_text())))


def licence_of(name: str) -> str:
    """What a package says of its licence: as an expression, by its classifiers, else in words."""
    said = metadata(name)
    classified = [one.split(" :: ")[-1] for one in said.get_all("Classifier") or () if one.startswith("License ::")]
    return str(said.get("License-Expression") or "; ".join(classified) or (said.get("License") or "")[:100])


@pytest.mark.parametrize("name", NAMES)
def test_a_licence_lets_us_use_and_pass_it_on(name: str) -> None:
    try:
        licence = licence_of(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is for other systems")

    assert ALLOWED.search(licence), f"{name}: {licence or 'says nothing'}"
    assert not FORBIDDEN.search(licence), f"{name}: {licence}"
