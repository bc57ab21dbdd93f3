"""The form that gives a chart a new baseline: what it asks, what that does, and what changed meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tickets.charts.signals import ChartSignals
from services.tickets.domain.faults import NotPossibleError
from services.tickets.web.forms import MAX_LETTERS
from shared.contracts.relocks import RelockData
from shared.flow.statistics.renewal import QUIET_WEEKS
from shared.flow.statistics.segments import BASELINE_LEAST, BASELINE_POINTS
from shared.wording.quantities import week_begin

# The choice of the first baseline, which may be locked early.
FIRST = "first"
MAX_REASON = 1000


@dataclass(frozen=True)
class RelockWish:
    """What a form asks. `from_week`: None for the first baseline. `seen`: the relocks that its page showed."""

    from_week: str | None
    points: int
    reason: str
    seen: str
    is_confirmed: bool

    def data(self, chart: str, now: datetime) -> RelockData:
        return RelockData(
            chart=chart, from_week=self.from_week, points=self.points, reason=self.reason, actor="person", at=now
        )


@dataclass(frozen=True)
class RenewalProposal:
    """What the form begins with where a baseline is old: the week, the number of weeks, the reason, and why."""

    from_week: str
    points: int
    reason: str
    text: str


def proposal(signals: ChartSignals) -> RenewalProposal | None:
    """The renewal of a baseline after 52 quiet weeks; None where it is not due."""
    found = signals.renewal
    if found is None:
        return None
    week, judged = signals.weeks.name(found.since), signals.judged
    locked = " to ".join(week_begin(signals.weeks.name(judged.baseline[at].week)) for at in (0, -1))
    return RenewalProposal(
        week,
        found.points,
        f"Renewed after {QUIET_WEEKS} quiet weeks.",
        f"In the last {QUIET_WEEKS} weeks nothing stood out against the baseline of the weeks of {locked}. It says"
        f" what was usual then. A new one of the last {found.points} weeks, from the week of {week_begin(week)} on,"
        " is proposed: the form below has it.",
    )


def read_wish(form: Mapping[str, str], weeks: Sequence[str]) -> RelockWish:
    """Read the form; `weeks`: those that may be chosen. Raises NotPossibleError with the field and the way out."""
    from_week = form.get("from_week", "")
    if from_week != FIRST and from_week not in weeks:
        raise NotPossibleError(f"{from_week[:20]!r} is no week of this chart; choose one of the list.", "from_week")
    points = form.get("points", "").strip()
    if not (points.isascii() and points.isdigit() and BASELINE_LEAST <= int(points[:4]) <= BASELINE_POINTS):
        raise NotPossibleError(f"Write a number of weeks from {BASELINE_LEAST} to {BASELINE_POINTS}.", "points")
    reason = form.get("reason", "")[: 2 * MAX_LETTERS].replace("\x00", "").replace("\r\n", "\n").strip()
    if not reason:
        raise NotPossibleError("Write why the baseline begins anew: it is shown with the chart.", "reason")
    if len(reason) > MAX_REASON:
        raise NotPossibleError(
            f"The reason has {len(reason):,} letters; write it with {MAX_REASON:,} at most.", "reason"
        )
    week = None if from_week == FIRST else from_week
    return RelockWish(week, int(points), reason, form.get("seen", ""), form.get("confirmed") == "yes")


def consequences(wish: RelockWish, signals: ChartSignals) -> list[str]:
    """What the relock does, in words."""
    week = wish.from_week
    after = [p for p in signals.points if week is None or signals.weeks.name(p.week) >= week]
    have, of = min(len(after), wish.points), f"from the week of {week_begin(week)} on" if week else "of the chart"
    found = [f"The first {wish.points} weeks {of} become the baseline: {have} of them are there already."]
    if have < wish.points:
        found.append("Nothing of this chart opens a ticket before the baseline is complete.")
    return [
        *found,
        "A problem of this chart that is open now is over at the end of the first of these weeks, unless the new"
        " baseline still shows it.",
        "Weeks that are long past are judged anew too: late problems may be withdrawn or found. Tickets keep the"
        " limits that they were opened with.",
    ]
