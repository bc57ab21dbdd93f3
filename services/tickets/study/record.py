"""A study as it is kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.tickets.study.findings import StudyFindings
from shared.contracts.tickets import TicketChange
from shared.flow.statistics.held_gain import Hold
from shared.flow.statistics.verification import Conclusion

_UNDECIDED = Conclusion()


class StudyKey(NamedTuple):
    """A study is that of one cycle of a ticket."""

    ticket: int
    cycle: int


@dataclass(frozen=True)
class Study:
    """A study. `plan`: the number of the seal that is studied. `findings`: None before anything was looked at.

    `input`: the version of what it rests on that was looked at last. `verdict_at`: when the verdict became true.
    `decision`: adopted, adapted or dropped. `ended_at`: when nothing was left to study.
    """

    key: StudyKey
    plan: int
    started_at: datetime
    findings: StudyFindings | None = None
    input: int | None = None
    conclusion: Conclusion = _UNDECIDED
    verdict_at: datetime | None = None
    hold: Hold | None = None
    decision: TicketChange | None = None
    decided_at: datetime | None = None
    decided_because: str | None = None
    ended_at: datetime | None = None
