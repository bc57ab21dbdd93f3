"""What a changed policy would have done to the number of tickets, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from services.tickets.preview.view import budgets, rounded_share
from shared.contracts.preview import PreviewAnswer
from shared.flow.statistics.watched import pipeline_watches
from shared.policy import Mode, Pipeline, Policy
from shared.wording.quantities import rounded


class Openings(NamedTuple):
    """Tickets a quarter that the active rules would have opened, and by chance alone; None: too little history."""

    tickets: float
    by_chance: float | None


def effect_sentence(answer: PreviewAnswer, before: Policy, after: Policy, name: str) -> str:
    """`2 tickets fewer a quarter, 1 by chance instead of 3.` Of rules that open tickets.

    `name`: of the pipeline, which may be new.
    """
    was, will = Openings(0.0, None), openings(answer, after.pipelines[name], name, is_after=True)
    if name in before.pipelines:
        was = openings(answer, before.pipelines[name], name, is_after=False)
    more = will.tickets - was.tickets
    words = "as many tickets a quarter as now"
    if more:
        count = rounded_share(abs(more))
        words = f"{count} {'ticket' if count == '1' else 'tickets'} {'more' if more > 0 else 'fewer'} a quarter"
    return f"{words[:1].upper()}{words[1:]}; {_chance(was.by_chance, will.by_chance)}."


def openings(answer: PreviewAnswer, pipeline: Pipeline, name: str, is_after: bool) -> Openings:
    """What the active rules of one side would have opened."""
    active, total, known = set(_active(pipeline, name)), 0.0, list(budgets(pipeline, name))
    counts = {f"{rule.kind}/{name}/{rule.stage}" for rule in pipeline.count_rules}
    is_priced = True
    for one in answer.rules:
        found = one.after if is_after else one.before
        if found is not None and one.key in active:
            total += sum(found.quarters) / max(len(found.quarters), 1)
            if one.key in counts:
                is_priced &= found.per_quarter is not None
                known.append(found.per_quarter or 0.0)
    return Openings(total, sum(known) if is_priced else None)


def _active(pipeline: Pipeline, name: str) -> Iterator[str]:
    """The keys of the rules that open tickets."""
    for rule in pipeline.count_rules:
        if rule.mode is Mode.ACTIVE:
            yield f"{rule.kind}/{name}/{rule.stage}"
    for kind, placed in (("aging-learned", pipeline.learned_rules), ("bottleneck", pipeline.bottleneck_rules)):
        yield from (f"{kind}/{name}/{stage}" for stage, rule in placed.items() if rule.mode is Mode.ACTIVE)
    for watch in pipeline_watches(name, pipeline):
        if watch.mode is Mode.ACTIVE:
            yield watch.key


def _chance(before: float | None, after: float | None) -> str:
    if after is None:
        return "how many by chance is not known, as the history is shorter than 180 days"
    words = f"at most {rounded_share(after)} by chance"
    if before is None or rounded(before) == rounded(after):
        return words
    return f"{words} instead of {rounded_share(before)}"
