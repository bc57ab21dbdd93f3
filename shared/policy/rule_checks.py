"""What is wrong between the rules of a pipeline and its stages, measures and false alarms.

Reads the file as written: other fields may be wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from shared.contracts.problems import Mode
from shared.contracts.stages import StageOutcome
from shared.policy.by_stage import by_stage
from shared.policy.numbers import decimal, positive
from shared.policy.watchable import PIPELINE_MEASURES, STAGE_MEASURES, TIME_IN_STAGE
from shared.runtime.yaml_file import KeyPath

# Of `false_alarms`, and of `budget` of aging-learned and silence: openings by chance in 91 days.
FALSE_ALARMS, BUDGET = Fraction(1), Fraction(1, 10)
# What each stage with an active bottleneck rule takes of the pipeline's false alarms.
BOTTLENECK_BUDGET = Fraction(1, 10)
_CLOSING = (StageOutcome.WON.value, StageOutcome.LOST.value)
_WITHOUT_STAGE = ("shift", "rework", "slipping", "bottleneck", "aging-learned")

Entries = Sequence[Mapping[str, Any]]
Faults = Iterator[tuple[KeyPath, str]]


def check_rules(rules: Entries, path: KeyPath, stages: Entries) -> Faults:
    """Stages and measures that do not fit, and entries that watch the same."""
    outcomes = _outcomes(stages)
    counted = Counter(map(_identity, rules))
    for number, rule in enumerate(rules):
        place = (*path, number)
        yield from ((place, text) for text in _check_stage(rule.get("stage"), outcomes))
        if rule.get("kind") == "shift":
            yield from ((place, text) for text in _check_measure(rule.get("stage"), rule.get("measure")))
        if _is_placed(rule) and counted[_identity(rule)] > 1:
            yield place, f"a second {_words(rule)}; keep one of them"


def check_budget(name: str, pipeline: Mapping[str, Any], rules: Entries, stages: Entries, path: KeyPath) -> Faults:
    """Whether the pipeline's false alarms leave some for the rules on measures."""
    allowed, used = _number(pipeline.get("false_alarms", FALSE_ALARMS)), _booked(rules, stages)
    if allowed is not None and allowed <= used:
        yield (
            (*path, "false_alarms"),
            f"false_alarms of {name} is {decimal(allowed)}; aging-learned and bottleneck already use"
            f" {decimal(used)}: raise it, or watch fewer stages",
        )


def check_silence(entries: Entries, path: KeyPath) -> Faults:
    """Entries for the same source."""
    counted = Counter(str(entry.get("source")) for entry in entries)
    for number, entry in enumerate(entries):
        if counted[str(entry.get("source"))] > 1:
            source = f"source {entry['source']!r}" if "source" in entry else "every source"
            yield (*path, number), f"a second entry for {source}; keep one of them"


def _outcomes(stages: Entries) -> dict[str, Any]:
    return {str(stage.get("id")): stage.get("outcome", StageOutcome.OPEN.value) for stage in stages}


def _identity(rule: Mapping[str, Any]) -> tuple[str, str, str]:
    """What an entry watches. With a stage and no measure, `shift` watches the time in it."""
    measure = rule.get("measure")
    if rule.get("kind") == "shift" and "stage" in rule and measure is None:
        measure = TIME_IN_STAGE
    return str(rule.get("kind")), str(rule.get("stage")), str(measure)


def _is_placed(rule: Mapping[str, Any]) -> bool:
    return isinstance(rule.get("kind"), str) and (
        isinstance(rule.get("stage"), str) or ("stage" not in rule and rule["kind"] in _WITHOUT_STAGE)
    )


def _words(rule: Mapping[str, Any]) -> str:
    """`shift rule on stage 'a', measure 'wip_end'`"""
    named = [f"{field} {rule[field]!r}" for field in ("stage", "measure") if field in rule]
    return f"{rule['kind']} rule" + (f" on {', '.join(named)}" if named else "")


def _check_stage(stage: object, outcomes: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(stage, str):
        return
    if stage not in outcomes:
        yield f"stage {stage!r} is not a stage of this pipeline; use the id of one"
    elif outcomes[stage] in _CLOSING:
        yield f"stage {stage!r} is {outcomes[stage]}: it holds no work; judge an open stage"


def _check_measure(stage: object, measure: object) -> Iterator[str]:
    if not isinstance(measure, str):
        return
    if measure not in STAGE_MEASURES and measure not in PIPELINE_MEASURES:
        names = ", ".join((*STAGE_MEASURES, *PIPELINE_MEASURES))
        yield f"measure {measure!r} is not known; use one of {names}"
    elif stage is None and measure in STAGE_MEASURES:
        yield f"measure {measure!r} is one of a stage; add the stage, or use one of {', '.join(PIPELINE_MEASURES)}"
    elif stage is not None and measure in PIPELINE_MEASURES:
        yield (
            f"measure {measure!r} is one of the pipeline, not of stage {stage!r}; remove the stage,"
            f" or use one of {', '.join(STAGE_MEASURES)}"
        )


def _booked(rules: Entries, stages: Entries) -> Fraction:
    """What the active stages of aging-learned and bottleneck use."""
    learned = _active(rules, "aging-learned", stages)
    budgets = [_number(rule.get("budget", BUDGET)) or Fraction(0) for rule in learned]
    return sum(budgets, BOTTLENECK_BUDGET * len(_active(rules, "bottleneck", stages)))


def _active(rules: Entries, kind: str, stages: Entries) -> Entries:
    """The active entries of a kind, one for each open stage."""
    opened = [stage for stage, outcome in _outcomes(stages).items() if outcome == StageOutcome.OPEN.value]
    placed = [(rule.get("stage"), rule) for rule in rules if rule.get("kind") == kind and _is_placed(rule)]
    return [rule for rule in by_stage(placed, opened).values() if rule.get("mode", Mode.ACTIVE.value) == Mode.ACTIVE]


def _number(written: object) -> Fraction | None:
    """None where it cannot be read, which is a fault of its own."""
    try:
        return positive(written)
    except ValueError:
        return None
