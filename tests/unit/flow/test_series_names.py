"""Names that processes share must not hang on the order of a set, which is another in each process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_PROGRAM = """
from shared.flow.ruleset import Ruleset
from shared.policy import parse
holidays = ", ".join(f"2026-{m:02}-{d:02}" for m in range(1, 13) for d in (1, 7, 19))
text = '''
version: 1
clocks: {office: {timezone: UTC, days: [mon, tue], hours: ["09:00-12:00"], holidays: [%s]}}
pipelines: {p: {name: P, owner: {name: o, mail: o@x.example}, clock: office, stages: [{id: s}],
  rules: [{kind: aging, stage: s, limit: 2d}]}}
''' % holidays
print([series.text for series in Ruleset(parse(text)).series])
"""


@pytest.mark.slow
def test_a_series_has_the_same_name_in_every_process() -> None:
    names = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(names) == 1
