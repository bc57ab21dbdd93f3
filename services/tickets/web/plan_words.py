"""Plans in a manager's words: what a measure can show, what is predicted, and what sealing a plan does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction

from services.tickets.domain.plan import Countermeasure, Plan
from services.tickets.study.measures import is_higher_better
from services.tickets.web.plan_form import ALL, COUNTERMEASURES, NOTHING, ONLY_NEW
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.effect import SizeUnit
from shared.policy import Policy, StageTitles
from shared.wording.measures import NAMES, changed, SHARE, day_of, in_unit, is_share, unit_of, with_unit
from shared.wording.quantities import rounded

POINTS = "percentage points"
ENTRIES = {False: "for all deals", True: "only for deals that come in from then on"}


def measure_words(chart: Chart, policy: Policy, titles: StageTitles) -> str:
    """`Time in stage (median), Proposal`"""
    place = titles.title(chart.pipeline, chart.stage) if chart.stage else policy.pipelines[chart.pipeline].name
    return f"{NAMES[chart.column]}, {place}"


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


def size_words(size: Fraction | float, unit: SizeUnit, chart: Chart, policy: Policy) -> str:
    """`30 %`, `4.5 days`, `3 percentage points`. `size`: as messages print the measure."""
    if unit is SizeUnit.SHARE:
        return f"{rounded(float(size * 100))} {SHARE}"
    return with_unit(in_unit(chart.column, size, day_of(chart, policy)), size_unit(chart, policy))


def prediction_words(plan: Plan, kind: str, policy: Policy) -> str:
    """`30 % shorter`"""
    predicted, word = plan.predicted, better(plan.measure, kind)
    if predicted.size is None:
        return word
    return f"{size_words(predicted.size, predicted.unit, plan.measure, policy)} {word}"


def better_words(chart: Chart | None, kind: str, policy: Policy, titles: StageTitles) -> str:
    """What a prediction is about: `Time in stage (median), Proposal, will be shorter`"""
    if chart is None:
        return "The measure will be better"
    return f"{measure_words(chart, policy, titles)}: it will be {better(chart, kind)}"


def too_small_words(plan: Plan, smallest: Fraction | float | None, window: int, policy: Policy) -> str | None:
    """A warning where a prediction is smaller than what the measure can show; `smallest` in the prediction's unit."""
    size = plan.predicted.size
    if smallest is None:
        return f"This measure cannot show a change of any size in {window} weeks."
    if size is None or size >= smallest:
        return None
    unit, chart = plan.predicted.unit, plan.measure
    return (
        f"You predict {size_words(size, unit, chart, policy)}; this measure cannot show less than"
        f" {size_words(smallest, unit, chart, policy)} in {window} weeks. The verdict will most likely be that the"
        " weeks do not show a change."
    )


def consequences(plan: Plan, looks: Sequence[date], window: int) -> list[str]:
    """What sealing does."""
    return [
        "Nothing in the plan can be changed any more, by anybody. Until the change date has come, that date can be"
        " moved, with a reason; you can also withdraw the plan.",
        f"From {day_words(plan.change_date)} on, Andon compares the weeks after the change with the weeks before it.",
        f"It looks {len(looks)} times, on {looks_words(looks)}, and closes the ticket when the weeks show that the"
        f" change worked; else after {window} weeks it says that they do not show it.",
        "Everybody who can read the ticket sees the plan and its prediction.",
    ]


def looks_words(looks: Sequence[date]) -> str:
    """`12 January 2027, 9 February 2027 and 16 March 2027`"""
    days = [day_words(one) for one in looks]
    return " and ".join([", ".join(days[:-1]), days[-1]] if len(days) > 1 else days)


def day_words(day: date) -> str:
    """`12 December 2026`"""
    return f"{day.day} {day:%B %Y}"


def answers(draft: Mapping[str, str], measures: Mapping[str, str]) -> Mapping[str, str]:
    """What each step says so far, shortly, for the folded form. `measures`: labels by the name of the chart."""
    what = [draft[f"what_{row}"] for row in range(1, 13) if f"what_{row}" in draft]
    kinds = {one.value: label for one, label in COUNTERMEASURES.items()}
    entries = {ALL: "all deals", ONLY_NEW: "only deals that come in from then on"}
    found = {
        "aim": [draft.get("aim")],
        "measure": [measures.get(draft.get("measure", ""))],
        "change": [draft.get("change"), kinds.get(draft.get("countermeasure", ""))],
        "tasks": ["; ".join(what)],
        "when": [draft.get("change_date"), entries.get(draft.get("entries", ""))],
        "prediction": [draft.get("size"), draft.get("why")],
        "balancing": [
            "no other measure" if draft.get("balancing") == NOTHING else measures.get(draft.get("balancing", ""))
        ],
    }
    return {step: _short(" · ".join(one for one in parts if one)) for step, parts in found.items()}


def _short(text: str, letters: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= letters else f"{text[: letters - 1].rstrip()}…"


def countermeasure_words(kind: Countermeasure) -> str:
    """`a rule or policy`"""
    label = COUNTERMEASURES[kind].partition(":")[0].partition(",")[0]
    return label[:1].lower() + label[1:]
