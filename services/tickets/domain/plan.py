"""The plan of an improvement (PDSA): its draft, which may lack anything, and the plan as it is sealed. Pure values.

A sealed plan is never changed: another change date seals anew. Its hash covers the hash of the one before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

import orjson
from pydantic import TypeAdapter

from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import NotShown


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


@dataclass(frozen=True)
class SealedWeeks:
    """How one measure's weeks after the change will be judged. Weeks by ISO name, `2026-W48`, oldest first.

    `phi`, `trend_z`, `slope` (per week of the history, oriented: less is better): None where it cannot be tested, for
    the reason `untestable`.
    """

    reference: tuple[str, ...]
    history: tuple[str, ...]
    # The first week since the last relock; None: none was relocked.
    since: str | None = None
    phi: float | None = None
    trend_z: float | None = None
    slope: Fraction | None = None
    untestable: NotShown | None = None


@dataclass(frozen=True)
class SealedOpening:
    """The window test that opened a ticket. `baseline`: weeks by ISO name; `level`: the chance that a look fires."""

    chart: Chart
    baseline: tuple[str, ...]
    level: Fraction


@dataclass(frozen=True)
class SealedGround:
    """What is sealed with a plan beside its words.

    `opened`: the week in which a special cause opened the problem; None where the cause is not special. `smallest`: the
    least effect that the measure can show, in the prediction's unit, the measure's printed one; None: none. `settling`:
    weeks by which a change for new entries only is judged later. `balancing`: None without a balancing measure.
    `opening`: None where no window opened the ticket.
    """

    trigger: tuple[str, ...]
    opened: str | None
    measure: SealedWeeks
    balancing: SealedWeeks | None = None
    smallest: Fraction | None = None
    settling: int = 0
    window: int = WINDOW
    opening: SealedOpening | None = None


@dataclass(frozen=True)
class SealedPlan:
    """A plan as sealed. `number`: of the seals of this cycle, from 1. `before`: hash of the seal before it, or empty.

    `reason`: why it was sealed anew, of a later seal.
    """

    ticket: int
    cycle: int
    number: int
    sealed_at: datetime
    reason: str | None
    before: str
    plan: Plan
    ground: SealedGround

    @property
    def content(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8."""
        return orjson.dumps(_SEALED.dump_python(self, mode="json"), option=orjson.OPT_SORT_KEYS)

    @property
    def hash(self) -> str:
        """SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_sealed(content: bytes | str) -> SealedPlan:
    """A sealed plan from its content."""
    return _SEALED.validate_json(content)


_SEALED = TypeAdapter(SealedPlan)
