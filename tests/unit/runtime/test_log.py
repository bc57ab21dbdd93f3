"""Every line is JSON, also those of libraries, and a fault that repeats does not fill the disk."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from shared.runtime.log import MAX_FAULTS, RepeatedFaults

PROGRAM = """
import logging
from shared.runtime.log import configure, logger
configure("{form}", "detector")
for number in range(1000):
    logger("shared.stream").warning("batch failed", error="refused", records=number)
    logging.getLogger("aiokafka").error("Unable to request metadata from node %s", number)
    logger("shared.stream").info("batch", records=number)
try:
    raise ValueError("told with its traceback")
except ValueError:
    logging.getLogger("uvicorn").exception("failed")
"""


def lines(form: str) -> list[str]:
    program = [sys.executable, "-c", PROGRAM.replace("{form}", form)]
    return subprocess.run(program, capture_output=True, text=True, check=True).stderr.splitlines()


def test_every_line_is_json_and_repeated_faults_come_once() -> None:
    found = [json.loads(line) for line in lines("json")]

    faults = [line for line in found if line["level"] != "info"]
    assert [(line["service"], line["level"], line["event"]) for line in faults] == [
        ("detector", "warning", "batch failed"),
        ("detector", "error", "Unable to request metadata from node 0"),
        ("detector", "error", "failed"),
    ]
    assert len(found) == 1003, "what is no fault is never held back"
    assert "told with its traceback" in json.dumps(faults[-1]["exception"])
    assert all("timestamp" in line for line in found)


def test_the_console_shows_libraries_too() -> None:
    assert any("Unable to request metadata" in line for line in lines("console"))


def test_a_fault_passes_once_a_minute_with_its_count() -> None:
    now = [0.0]
    faults = RepeatedFaults(60, lambda: now[0])

    assert [faults.passes("refused") for _ in range(3)] == [0, None, None]
    assert faults.passes("another") == 0
    now[0] = 60
    assert [faults.passes("refused") for _ in range(2)] == [2, None]


def test_faults_without_end_take_bounded_memory() -> None:
    faults = RepeatedFaults(clock=lambda: 0)
    for number in range(MAX_FAULTS * 3):
        faults.passes(number)

    assert faults.passes(MAX_FAULTS * 3 - 1) is None, "the newest are kept"
    assert faults.passes(0) == 0


@pytest.mark.parametrize("level", ["info", "debug"])
def test_what_is_no_fault_is_never_held_back(level: str) -> None:
    faults = RepeatedFaults(clock=lambda: 0)

    assert [faults(None, level, {"event": "batch", "level": level}) for _ in range(2)] == [
        {"event": "batch", "level": level}
    ] * 2


def test_a_library_with_a_handler_of_its_own_writes_json() -> None:
    program = """
import logging
import faststream.kafka
from shared.runtime.log import configure
configure("json", "detector")
logging.getLogger("faststream").warning("topics are not created")
"""
    written = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr

    assert [json.loads(line)["event"] for line in written.splitlines()] == ["topics are not created"]
