"""`andon --version` prints the version of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

from typer.testing import CliRunner

from services.cli.main import app


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout) == (0, f"andon {project['version']}\n")
