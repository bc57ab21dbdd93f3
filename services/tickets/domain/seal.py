"""The seal of a plan: the plan as it was before its change, how its change will be judged, and the hash over both.

A sealed plan is never changed: another change date seals anew. Its hash covers the hash of the one before it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache

import orjson
from pydantic import TypeAdapter

from services.tickets.domain.plan import Plan
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import NotShown


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
    weeks by which a change for new entries only is judged later. `zone`: in which the change date begins, whatever zone
    the policy has later. `balancing`: None without a balancing measure.
    `opening`: None where no window opened the ticket.
    """

    zone: str
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


@lru_cache(1024)
def read_sealed(content: bytes | str) -> SealedPlan:
    """A sealed plan from its content. Pages read those of the same tickets over and over."""
    return _SEALED.validate_json(content)


_SEALED = TypeAdapter(SealedPlan)
