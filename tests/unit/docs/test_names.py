"""What the documentation names is there: files, settings, metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
# Written by whoever installs Andon.
NOT_IN_THE_REPOSITORY = {"deploy/settings.env", "deploy/sources.env"}
FOLDERS = "services|shared|tests|deploy|requirements"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    """`services/x/y.py` from the root, `y.py` and `x/y.py` anywhere below; `<kind>` stands for any name."""
    paths = set(re.findall(rf"`((?:{FOLDERS})/[^`\s:]+|[a-z_/]+\.py)", page.read_text())) - NOT_IN_THE_REPOSITORY

    assert not [path for path in paths if not _exists(re.sub("<[a-z]+>", "*", path).rstrip("/"))]


def _exists(path: str) -> bool:
    folders = [""] if path.split("/")[0] in FOLDERS.split("|") else [f"{folder}/**/" for folder in FOLDERS.split("|")]
    return any(any(ROOT.glob(folder + path)) for folder in folders)


def test_settings_that_are_named_exist() -> None:
    """The generated page has all that services read, setup.py those of the build."""
    known = set(re.findall(r"`(ANDON_[A-Z_]+)`", (ROOT / "docs" / "operator" / "settings.md").read_text()))
    known |= {f"{name}_FILE" for name in known}
    known |= set(re.findall(r"ANDON_[A-Z_]+", (ROOT / "setup.py").read_text()))
    for page in PAGES:
        named = {name for name in re.findall(r"ANDON_[A-Z_]*[A-Z]\b(?!_)", page.read_text()) if "_TEST_" not in name}
        assert not named - known, page.name


def test_metrics_that_are_named_exist() -> None:
    code = "\n".join(path.read_text() for folder in ("services", "shared") for path in (ROOT / folder).rglob("*.py"))
    for page in PAGES:
        for name in re.findall(r"`(andon_[a-z_]+)", page.read_text()):
            assert name.removesuffix("_total") in code, f"{page.name}: {name}"
