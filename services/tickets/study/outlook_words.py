"""What a plan's page says of its study before anything is sealed."""

from __future__ import annotations

from collections.abc import Iterator

from services.tickets.study.ground import PlanGround
from services.tickets.study.planning import FALSE_VERDICTS, MeasureOutlook, PlanOutline
from shared.flow.statistics.interim_looks import WINDOW
from shared.flow.statistics.sealing import LEAST_HISTORY, LEAST_REFERENCE
from shared.policy import Policy, StageTitles
from shared.wording import plans
from shared.wording.measures import NAMES, day_of
from shared.wording.studies import TREND, StudyNames, confounded_note


def study_names(outline: PlanOutline, policy: Policy, titles: StageTitles, window: int = WINDOW) -> StudyNames:
    """What the measures of a plan are called. `window`: weeks that are studied."""
    measure, balancing = outline.measure, outline.balancing
    other = "" if balancing is None else NAMES[balancing.column]
    if balancing is not None and balancing.stage and balancing.stage != measure.stage:
        other = f"{other}, {titles.title(balancing.pipeline, balancing.stage)}"
    return StudyNames(NAMES[measure.column], measure.column, day_of(measure, policy), other, window)


def plan_sentences(ground: PlanGround, outline: PlanOutline, names: StudyNames) -> list[str]:
    """All that is to be known before sealing, the most decisive first."""
    found = [*_measure(ground.measure, outline, names)]
    if ground.settling:
        found.append(plans.settling_sentence(ground.settling))
    if ground.balancing is not None and ground.balancing.weeks.untestable:
        found.append(plans.balancing_sentence(names.balancing))
    found.append(plans.looks_sentence(ground.looks))
    warning = confounded_note(ground.confounded_with)
    return [*([warning] if warning else []), *found]


def _measure(found: MeasureOutlook, outline: PlanOutline, names: StudyNames) -> Iterator[str]:
    weeks = found.weeks
    reference, history = len(weeks.reference), len(weeks.history)
    if weeks.untestable is not None:
        yield plans.untestable_sentence(weeks.untestable, reference, history, found.testable_from, names.measure)
        return
    if reference < LEAST_REFERENCE or history < LEAST_HISTORY:
        yield plans.in_time_sentence(reference, history)
        return
    yield plans.compared_sentence(weeks.reference)
    yield from _sizes(found, outline, names)
    yield plans.false_sentence(FALSE_VERDICTS)
    if found.missed is not None:
        yield plans.missed_sentence(found.missed)
    yield plans.memory_sentence(found.clearer)
    if weeks.slope:
        yield TREND


def _sizes(found: MeasureOutlook, outline: PlanOutline, names: StudyNames) -> Iterator[str]:
    if not found.smallest:
        yield plans.no_share_sentence(names.measure)
        return
    wanted = outline.predicted.size if outline.predicted else None
    least = found.smallest[WINDOW]
    if least is not None and wanted is not None and wanted < least:
        yield plans.cannot_sentence(WINDOW, names.measure)
    for weeks, size in found.smallest.items():
        if size is not None or weeks == WINDOW:
            yield plans.smallest_sentence(size, weeks, found.unit, names)
