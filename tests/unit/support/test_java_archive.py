"""Java starts with an archive where there is one, and one that was not written to its end is not kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.java_archive import _keep, archive, use_archive


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where no test ran yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # What the test sets is undone.
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "")
    monkeypatch.delenv("JAVA_TOOL_OPTIONS")
    archive().parent.mkdir(parents=True)


def test_java_is_told_of_an_archive_that_exists() -> None:
    use_archive()
    assert "JAVA_TOOL_OPTIONS" not in os.environ

    archive().touch()
    use_archive()
    assert os.environ["JAVA_TOOL_OPTIONS"] == f"-XX:AOTCache={archive()}"


@pytest.mark.parametrize(("said", "is_kept"), [("AOTCache creation is complete: x", True), ("Killed", False)])
def test_only_a_whole_archive_is_kept(said: str, is_kept: bool) -> None:
    fresh = archive().with_suffix(".1")
    fresh.touch()

    _keep(fresh, said)

    assert archive().exists() == is_kept
    assert not fresh.exists()
