"""What a chart of weeks means, in a manager's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.tickets.charts.measure import MeasureScale
from services.tickets.charts.signals import ChartSignals, DrawnSegment, WindowSays
from shared.flow.statistics.chart_records import DRAWN
from shared.flow.statistics.forecast import Forecast, WhyNot
from shared.flow.statistics.windows import SHORT
from shared.policy import Policy
from shared.policy.watchable import Side
from shared.wording.measures import with_unit
from shared.wording.quantities import rounded, week, week_begin

WHY_NOT = {
    WhyNot.TREND: "it rises or falls",
    WhyNot.RECENT_CHANGE: "the last 8 weeks differ from those before",
    WhyNot.SILENCE: "a source is silent",
}


@dataclass(frozen=True)
class SegmentRow:
    """One baseline of a chart: its weeks, its limits, and why it was locked."""

    weeks: str
    baseline: str
    limits: str
    why: str


def meaning(signals: ChartSignals, policy: Policy) -> list[str]:
    """What the chart means, the most important sentence first."""
    part, needed = signals.newest, signals.newest.segment.size + SHORT
    have = len(part.segment.points)
    if have < needed:
        return [f"Too few weeks to tell: {have} of {needed}."]
    fired = [window for window in signals.windows if window.fires]
    if fired and signals.watch:
        return [window_sentence(fired[-1]), *_by_chance(signals)]
    return [*_inside(signals, policy), *_guard(signals)]


def finding(signals: ChartSignals, policy: Policy) -> str:
    """The title of the chart: its last week, and what is usual."""
    scale, last = MeasureScale(signals.chart, policy), signals.points[-1]
    value = f"{with_unit(scale.of(last.value), scale.unit)} in {week(signals.weeks.name(last.week))}"
    return f"{value}; usual is {_between(signals.newest, scale)}" if signals.newest.xmr else value


def window_sentence(window: WindowSays) -> str:
    """As on the ticket."""
    return (
        f"Of 100 pairs of a baseline week and one of the last {window.n} weeks, in {window.pairs} the recent week was"
        " worse."
    )


def look_sentence(window: WindowSays) -> str:
    """What a window says, and from when on it would open a ticket."""
    if window.needed is None:
        return f"{window_sentence(window)} So few weeks can never say enough at this level."
    asks = "that is enough to open a ticket" if window.fires else f"{window.needed} would open a ticket"
    return f"{window_sentence(window)[:-1]}; {asks}."


def _by_chance(signals: ChartSignals) -> list[str]:
    if signals.watch is None:
        return []
    return [f"By chance this chart says so about once in {rounded(float(1 / signals.watch.per_quarter))} quarters."]


def _inside(signals: ChartSignals, policy: Policy) -> list[str]:
    """Where the last week lies."""
    limits, scale = signals.newest.xmr, MeasureScale(signals.chart, policy)
    last = signals.points[-1]
    value = with_unit(scale.of(last.value), scale.unit)
    was = f"n {week(signals.weeks.name(last.week))}, the last, it was {value}"
    if limits is None:
        return [f"I{was}."]
    usual = _between(signals.newest, scale)
    if limits.upper >= last.value and (limits.lower is None or last.value >= limits.lower):
        return [f"It moves within what is usual: i{was}; usual is {usual}."]
    return [f"I{was}; usual is {usual}. One week alone opens no ticket."]


def _between(part: DrawnSegment, scale: MeasureScale) -> str:
    assert part.xmr is not None  # noqa: S101 (its callers ask)
    low = 0.0 if part.xmr.lower is None else scale.of(part.xmr.lower)
    return f"{rounded(low)} to {with_unit(scale.of(part.xmr.upper), scale.unit)}"


def _guard(signals: ChartSignals) -> list[str]:
    """Nobody should act on movement that means nothing."""
    if signals.newest.xmr is None and not signals.windows:
        return []
    return [
        "Ups and downs within what is usual have no cause of their own, so Andon reports none of them. Whoever asks for"
        " the reason of one such week, or acts on it, makes the weeks move more."
    ]


def stands_out(signals: ChartSignals) -> str | None:
    """What ringed weeks mean; None where there are none."""
    if not any(part.xmr and part.xmr.marks for part in signals.parts):
        return None
    return (
        "Ringed weeks stand out. They open no ticket, as in the flow of deals such weeks are frequent; what lasts does."
    )


def not_drawn(signals: ChartSignals) -> str | None:
    """Why the chart has no limits; None where it has some."""
    part = signals.newest
    if part.xmr is not None:
        return None
    if signals.chart.column not in DRAWN:
        return "No limits are drawn for this measure."
    if not part.segment.is_locked:
        have = len(part.segment.points)
        return f"The limits come with the baseline: {have} of {part.segment.size} weeks are there."
    return "No limits are drawn: more than half of the weeks of the baseline have one value."


def watched(signals: ChartSignals) -> str:
    """Whether a rule watches the chart, and for what."""
    if signals.watch is None:
        return "No rule of the policy watches this chart: it opens no tickets."
    side = "higher" if signals.watch.side is Side.HIGH else "lower"
    once = rounded(float(1 / signals.watch.per_quarter))
    return (
        f"A ticket opens when the last 4 or 8 weeks are clearly {side} than the baseline. By chance that happens about"
        f" once in {once} quarters."
    )


def segment_rows(signals: ChartSignals, policy: Policy) -> Sequence[SegmentRow]:
    """The segments, the newest first."""
    scale = MeasureScale(signals.chart, policy)
    rows = [_segment_row(part, signals, scale) for part in signals.parts if part.segment.points]
    return rows[::-1]


def _segment_row(part: DrawnSegment, signals: ChartSignals, scale: MeasureScale) -> SegmentRow:
    name, points, baseline = signals.weeks.name, part.segment.points, part.segment.baseline
    limits = f"usual is {_between(part, scale)}" if part.xmr else "none drawn"
    locked = f"weeks of {week_begin(name(baseline[0].week))} to {week_begin(name(baseline[-1].week))}"
    if not part.segment.is_locked:
        locked = f"{len(baseline)} of {part.segment.size} weeks so far"
    is_newest = part is signals.newest
    until = "now" if is_newest else f"that of {week_begin(name(points[-1].week))}"
    return SegmentRow(f"the week of {week_begin(name(points[0].week))} to {until}", locked, limits, _why(part))


def _why(part: DrawnSegment) -> str:
    size = part.segment.size
    if part.relock is None:
        return f"The first {size} weeks of the chart"
    by = "A person" if part.relock.actor == "person" else "Andon"
    return f"{by}: “{part.relock.reason}”"


def forecast_sentences(found: Forecast) -> list[str]:
    """What the pipeline promises, or why not, and how its promises were kept."""
    if found.why is WhyNot.TOO_FEW_WEEKS:
        return [f"Not stable enough to forecast: only {found.weeks} weeks."]
    tested = found.backtest
    kept = f"Back-test: {tested.kept} of {tested.of} such promises were kept." if tested and tested.of else ""
    if found.why is not None:
        return (
            [f"Not stable enough to forecast: {WHY_NOT[found.why]}.", kept]
            if kept
            else [f"Not stable enough to forecast: {WHY_NOT[found.why]}."]
        )
    assert found.at_least is not None  # noqa: S101 (it has one where there is no reason against it)
    promises = [
        f"At least {n} closings in the next {weeks} weeks (85 % sure), valid while the process stays as it was. {kept}"
        for weeks, n in found.at_least.items()
    ]
    done = found.done_in_weeks
    if found.open and done is not None:
        promises.append(f"The {found.open} open deals are closed within {done} weeks (85 % sure).")
    return promises
