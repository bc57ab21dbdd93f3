"""Plans in a manager's words: what a measure can show, what is predicted, and what sealing a plan does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from services.tickets.domain.plan import Countermeasure, Plan
from services.tickets.plan_facts import measure_words
from services.tickets.study.measures import is_higher_better
from services.tickets.web.plan_form import COUNTERMEASURES, day_words
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.policy import Policy, StageTitles
from shared.wording.measures import NAMES, SHARE, changed, day_of, in_unit, is_share, unit_of

POINTS = "percentage points"


def better(chart: Chart, kind: str) -> str:
    """`shorter`, `more`: what the measure is when it is better, for a ticket of this kind of problem."""
    return changed(chart.column, higher=is_higher_better(chart, kind))


def measure_groups(
    charts: Sequence[Chart], kind: str, policy: Policy, titles: StageTitles
) -> Mapping[str, Mapping[str, str]]:
    """The choices of a measure by where it is measured: name of the chart, and label with what is better."""
    found: dict[str, dict[str, str]] = {}
    for chart in charts:
        place = (
            f"Of the stage {titles.title(chart.pipeline, chart.stage)}"
            if chart.stage
            else f"Of the whole pipeline {policy.pipelines[chart.pipeline].name}"
        )
        found.setdefault(place, {})[chart.name] = f"{NAMES[chart.column]}: {better(chart, kind)} is better"
    return found


def unit_words(chart: Chart | None, policy: Policy) -> Mapping[str, str]:
    """What a size may be counted in."""
    own = "the unit of the measure" if chart is None else size_unit(chart, policy)
    return {SizeUnit.SHARE.value: "% of what it is now", SizeUnit.DIFFERENCE.value: own}


def size_unit(chart: Chart, policy: Policy) -> str:
    """`days`, `deals`, `percentage points`"""
    return POINTS if is_share(chart.column) else unit_of(chart.column, day_of(chart, policy))


def predicted_size(plan: Plan, policy: Policy) -> str:
    """`30 %`, `4.5 days`, `3 percentage points`: exactly as it was typed. Empty where no size is predicted."""
    size, chart = plan.predicted.size, plan.measure
    if size is None:
        return ""
    if plan.predicted.unit is SizeUnit.SHARE:
        return f"{_exact(float(size * 100))} {SHARE}"
    unit = size_unit(chart, policy)
    text = _exact(in_unit(chart.column, size, day_of(chart, policy)))
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"


def _exact(value: float) -> str:
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def prediction_words(plan: Plan, kind: str, policy: Policy) -> str:
    """`30 % shorter`"""
    size, word = predicted_size(plan, policy), better(plan.measure, kind)
    return f"{size} {word}" if size else f"{word} (no size predicted)"


def better_words(chart: Chart | None, kind: str, policy: Policy, titles: StageTitles) -> str:
    """What a prediction is about: `Time in stage (median), Proposal, will be shorter`"""
    if chart is None:
        return "The measure will be better"
    return f"{measure_words(chart, policy, titles)}: it will be {better(chart, kind)}"


def consequences(plan: Plan, looks: Sequence[date]) -> list[str]:
    """What sealing does."""
    return [
        "Nothing in the plan can be changed any more, by anybody. Until the change date has come, that date can be"
        " moved, with a reason; you can also withdraw the plan.",
        f"From {day_words(plan.change_date)} on, Andon compares the weeks after the change with the weeks before it.",
        f"It looks {len(looks)} times, on {looks_words(looks)}, and closes the ticket when the weeks show that the"
        " change worked; else after the last look it says that they do not show it.",
        "Everybody who can read the ticket sees the plan and its prediction.",
    ]


def by_when(looks: Sequence[date]) -> str:
    """Until when a prediction holds or not."""
    if not looks:
        return "By when: at the end of the weeks that are studied after the change."
    return f"By when: by {day_words(looks[-1])}, when the weeks that are studied are over."


def looks_words(looks: Sequence[date]) -> str:
    """`12 January 2027, 9 February 2027 and 16 March 2027`"""
    days = [day_words(one) for one in looks]
    return " and ".join([", ".join(days[:-1]), days[-1]] if len(days) > 1 else days)


def countermeasure_words(kind: Countermeasure) -> str:
    """`a rule or policy`"""
    label = COUNTERMEASURES[kind].partition(":")[0].partition(",")[0]
    return label[:1].lower() + label[1:]
