"""Runs promtool's tests of rules."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PromtoolTest = dict[str, Any]


def run_promtool(tests: Sequence[PromtoolTest], rules: Sequence[Path], folder: Path, step: int = 1) -> None:
    """Evaluate these files of rules every `step` minutes. Fails with what promtool says."""
    files = [str(path) for path in rules]
    document = {"rule_files": files, "evaluation_interval": f"{step}m", "tests": list(tests)}
    # JSON is YAML.
    (folder / "case.yml").write_text(json.dumps(document))
    run_promtool_file(folder / "case.yml")


def run_promtool_file(path: Path) -> None:
    """As `run_promtool`, of a file of tests."""
    command = ["promtool", "test", "rules", str(path)]
    # Each run is short: memory is left to its end, rather than collected.
    plain = os.environ | {"GOGC": "800"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def check(expression: str, minute: int, value: float, labels: str = "{}") -> dict[str, Any]:
    """The expression has this one value at that minute."""
    samples = [{"labels": labels, "value": value}]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}
