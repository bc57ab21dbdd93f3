"""How a problem stands now, beside how it was when it was found, as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.tickets.latest_count import LatestCount
from services.tickets.store.problems import Counted
from shared import wording

# A judgement time that is older than this says that numbers no longer come in.
LATE = timedelta(minutes=2)


@dataclass(frozen=True)
class NowView:
    """The counts of a problem that goes on.

    `as_of`: of the count that the sentence has. `is_late`: nothing newer has come for a while. `eased`: what the count
    is again (`Below the limit`), `since` when, and when the problem clears if it stays so; None while the condition
    holds. `found`: the count of the first message, at `found_at`; `found_words`: `12 deals`.
    `learned`: what opens such a problem, where no policy says it; else empty.
    """

    as_of: datetime
    is_late: bool
    count: int
    peak: int
    # Before the peak: `at most`
    extreme: str
    found: int
    found_words: str
    found_at: datetime
    eased: str | None
    since: datetime | None
    clears_at: datetime | None
    learned: str


def now_view(latest: LatestCount, found: Counted, now: datetime) -> NowView | None:
    """None once the problem is over, and of one that no count ends."""
    problem, rule = latest.problem, latest.rule
    if problem.cleared_at is not None or wording.of(problem.kind).ends_by_person:
        return None
    eased = wording.of(problem.kind).eased if rule is not None and not rule.breached else None
    return NowView(
        latest.at,
        rule is not None and latest.at < now - LATE,
        problem.count,
        problem.peak,
        wording.of(problem.kind).extreme,
        found.count,
        wording.of(problem.kind).counted(found.count),
        found.counted_at,
        eased,
        rule.since if rule and eased else None,
        rule.clears_at if rule and eased else None,
        wording.of(problem.kind).learned(problem.threshold),
    )
