"""What a check of `andon doctor` found: one line each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Health(StrEnum):
    """`look`: Andon works, and somebody should look at this; `bad`: something does not work, or soon will not."""

    GOOD = "good"
    LOOK = "look"
    BAD = "bad"


_RANK = {Health.GOOD: 0, Health.LOOK: 1, Health.BAD: 2}


@dataclass(frozen=True)
class CheckFinding:
    """`subject`: what was looked at; `text`: how it is; `todo`: the way out, empty where nothing is to be done."""

    health: Health
    subject: str
    text: str
    todo: str = ""


def good(subject: str, text: str) -> CheckFinding:
    return CheckFinding(Health.GOOD, subject, text)


def look(subject: str, text: str, todo: str) -> CheckFinding:
    return CheckFinding(Health.LOOK, subject, text, todo)


def bad(subject: str, text: str, todo: str) -> CheckFinding:
    return CheckFinding(Health.BAD, subject, text, todo)


def worst(healths: Iterable[Health]) -> Health:
    """The worst of them; good if there are none."""
    return max(healths, key=_RANK.__getitem__, default=Health.GOOD)


def exit_code(health: Health) -> int:
    """0 good, 1 look, 2 bad."""
    return _RANK[health]
