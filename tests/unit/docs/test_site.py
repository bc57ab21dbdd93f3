"""The documentation as a site: every page is in it, every link and anchor leads somewhere, nothing is fetched."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Markdown of the site takes a list for text where no empty line stands before it.
SWALLOWED_LIST = re.compile(r"<p>(?:(?!</p>).)*\n(?:[-*]|\d+\.) ", re.DOTALL)
FETCHED = re.compile(r"""(?:src=|<link [^>]*href=)["']?(https?:[^"' >]*)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")}

    assert {str(page) for page in pages if not (site / _address(page)).exists()} == set()


def test_lists_are_lists(site: Path) -> None:
    swallowed = {page.name for page in site.rglob("*.html") if SWALLOWED_LIST.search(page.read_text())}

    assert swallowed == set()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    assert {found for page in site.rglob("*.html") for found in FETCHED.findall(page.read_text())} == set()


def _address(page: Path) -> Path:
    return page.with_name("index.html") if page.name == "README.md" else page.with_suffix(".html")
