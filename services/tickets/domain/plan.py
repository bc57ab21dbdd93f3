"""The plan of an improvement (PDSA), complete: `draft.py` has what may lack anything, `seal.py` what is sealed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit


class Countermeasure(StrEnum):
    """What kind of change it is: the ledger tells how often predictions held for each."""

    POLICY = "policy"
    CAPACITY = "capacity"
    TRAINING = "training"
    TOOL = "tool"
    STEP = "step"
    LIMIT = "limit"
    OTHER = "other"


@dataclass(frozen=True)
class Task:
    """Who does what by when. `who`: a role or a team, never a person."""

    what: str
    who: str
    by: date


@dataclass(frozen=True)
class Predicted:
    """How much better the measure will be, and why. `size`: above 0, in the printed unit; None: only that it will."""

    size: Fraction | None
    unit: SizeUnit
    why: str


@dataclass(frozen=True)
class Plan:
    """A complete plan. Better is in the measure's own direction: shorter times, more deals won.

    `change_date`: the day from which the change is in force, in the policy's zone. `new_entries_only`: it does not
    touch deals that are in the stage by then. `balancing`: the measure that must not get worse.
    """

    aim: str
    measure: Chart
    change: str
    countermeasure: Countermeasure
    tasks: tuple[Task, ...]
    predicted: Predicted
    change_date: date
    new_entries_only: bool
    balancing: Chart | None
