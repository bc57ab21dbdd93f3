"""What the pages of the policy show: differences line by line, and faults of a text."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff
from typing import NamedTuple

from shared.runtime.yaml_file import FaultsError

_AROUND = 2
_WORDS = {"+": "added", "-": "removed", " ": "unchanged", "@": "left out"}


class DiffLine(NamedTuple):
    """One line. `sign`: + added, - removed, @ lines without a change are left out here, else a line around a change."""

    sign: str
    text: str

    @property
    def word(self) -> str:
        """For those who do not see the sign."""
        return _WORDS[self.sign]


def diff_lines(before: str, after: str) -> list[DiffLine]:
    """How one text becomes the other; empty where they are the same."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), n=_AROUND, lineterm=""))[2:]
    found = [DiffLine(line[:1], "" if line.startswith("@@") else line[1:]) for line in lines]
    # Nothing is left out before the first line that is shown, as far as anybody cares.
    return found[1:] if found and found[0].sign == "@" else found


def fault_texts(error: FaultsError) -> Sequence[str]:
    """Every fault as a sentence, with its line."""
    return [f"{text[:1].upper()}{text[1:]}." for text in (str(fault) for fault in error.faults)]
