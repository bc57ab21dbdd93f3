"""The corpus that is kept: of all inputs the fewest and smallest that run through every line the whole set does."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.target import TARGETS, target

CORPUS = Path(__file__).parent / "corpus"
LARGEST = 4096
WATCHED = ("/shared/connectors/", "/services/intake/")
# Inputs that once broke something: kept for good, under this name.
BROKE = "broke-"
Step = tuple[str, int, int]


def steps(run: Callable[[bytes], None], data: bytes) -> frozenset[Step]:
    """From which line to which the run went, in the code of connectors and intake."""
    found: set[Step] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        file = frame.f_code.co_filename
        if not any(folder in file for folder in WATCHED):
            return None
        last = 0

        def line(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal last
            found.add((file, last, frame.f_lineno))
            last = frame.f_lineno
            return line

        return line

    sys.settrace(enter)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return frozenset(found)


def keep(kind: str, work: Path) -> int:
    """Choose again from the kept and the working inputs of a kind; returns how many there are now."""
    reached: set[Step] = set()
    return sum(_keep(CORPUS / kind / name, work / kind / name, target(kind, name), reached) for name in TARGETS)


def _keep(kept: Path, work: Path, run: Callable[[bytes], None], reached: set[Step]) -> int:
    files = [file for folder in (kept, work) for file in folder.iterdir() if not file.name.startswith(BROKE)]
    inputs = {data for file in files if len(data := file.read_bytes()) <= LARGEST}
    chosen = []
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        if not (new := steps(run, data)) <= reached:
            reached |= new
            chosen.append(data)
    for file in kept.iterdir():
        if not file.name.startswith(BROKE):
            file.unlink()
    for data in chosen:
        (kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return len(list(kept.iterdir()))
