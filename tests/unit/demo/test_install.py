"""Installing packages shows how far it is, and fails with pip's own words."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "requirements" / "install.py"


def install(requirement: str, folder: Path) -> subprocess.CompletedProcess[str]:
    lock = folder / "lock.txt"
    lock.write_text(f"{requirement} --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, str(SCRIPT), str(lock)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PIP_NO_INDEX": "1"})


@pytest.mark.slow
def test_progress_is_shown(tmp_path: Path) -> None:
    result = install(f"typer=={metadata.version('typer')}", tmp_path)

    assert (result.returncode, "Installing packages: 1 of 1" in result.stderr) == (0, True), result.stderr


@pytest.mark.slow
def test_a_failure_shows_what_pip_wrote(tmp_path: Path) -> None:
    result = install("typer==0.0.0", tmp_path)

    assert (result.returncode, "No matching distribution found for typer==0.0.0" in result.stderr) == (1, True)
