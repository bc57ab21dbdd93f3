"""The pipelines of a log that no policy describes: their stages in the order in which deals pass them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from shared.contracts.stages import StageOutcome
from shared.flow.coverage import coverage
from shared.flow.fold import unique
from shared.flow.stage_lookup import UNKNOWN_PIPELINE
from shared.flow.stage_map import StageKey, StageMap
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import LOST, WON, DealState, Event
from shared.policy import Policy

# The key of a pipeline that no event names.
UNNAMED = "default"
_CLOSES = {WON: StageOutcome.WON, LOST: StageOutcome.LOST}
# What a stage's name says of its outcome; None where it says nothing.
OutcomeOfName = Callable[[str], StageOutcome | None]


@dataclass(frozen=True)
class FoundStage:
    """A stage of a log. `name`: what the CRM calls it; empty where nothing tells."""

    id: str
    name: str
    outcome: StageOutcome


@dataclass(frozen=True)
class FoundPipeline:
    """A pipeline of a log; open stages in their order, then those that close a deal."""

    key: str
    name: str
    stages: Sequence[FoundStage]

    @property
    def open_stages(self) -> list[FoundStage]:
        """The stages that hold work."""
        return [stage for stage in self.stages if stage.outcome is StageOutcome.OPEN]


@dataclass
class _SeenPipeline:
    """What the log tells of one pipeline. `before`: in how many deals one stage was entered before another."""

    stages: Counter[str] = field(default_factory=Counter)
    before: Counter[tuple[str, str]] = field(default_factory=Counter)
    closes: dict[str, Counter[StageOutcome]] = field(default_factory=dict)


def found_pipelines(
    events: Sequence[Event], stage_map: StageMap, outcome_of_name: OutcomeOfName
) -> list[FoundPipeline]:
    """The pipelines of a log, the one with the most events first. None without a stage."""
    empty = Policy.model_construct(version=1, pipelines={})
    as_of = max((event.key.time for event in events), default=0)
    seen = _unknown_stages(coverage(events, empty, as_of, stage_map).unknown)
    for deal in _histories(events):
        _add_deal(seen, deal, StageResolver(empty, stage_map))
    names = _Names(stage_map)
    pipelines = sorted(seen.items(), key=lambda item: (-item[1].stages.total(), item[0]))
    found = [
        FoundPipeline(key, names.of_pipeline(key), list(_stages(key, one, names, outcome_of_name)))
        for key, one in pipelines
    ]
    return [pipeline for pipeline in found if pipeline.open_stages]


def _unknown_stages(places: Mapping[tuple[str, str], object]) -> dict[str, _SeenPipeline]:
    """By pipeline. A stage that events name without a pipeline belongs to the one that has it, else to one of its own.

    A stage that two pipelines have cannot be placed.
    """
    seen: dict[str, _SeenPipeline] = {}
    for key, stage in places:
        if key != UNKNOWN_PIPELINE:
            seen.setdefault(key, _SeenPipeline()).stages[stage] += 0
    placed = {stage for one in seen.values() for stage in one.stages}
    for key, stage in places:
        if key == UNKNOWN_PIPELINE and stage not in placed:
            seen.setdefault(UNNAMED, _SeenPipeline()).stages[stage] += 0
    return seen


def _histories(events: Iterable[Event]) -> Iterator[list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.deal, []).append(event)
    return (unique(found[deal]) for deal in sorted(found))


def _add_deal(seen: dict[str, _SeenPipeline], history: Sequence[Event], resolver: StageResolver) -> None:
    state = DealState()
    state.apply(history, resolver)
    entered: dict[str, list[str]] = {}
    for visit in sorted(state.visits, key=lambda one: one.entered):
        key = _key_of(seen, visit.pipeline, visit.stage)
        if key is not None:
            seen[key].stages[visit.stage] += 1
            order = entered.setdefault(key, [])
            if visit.stage not in order:
                order.append(visit.stage)
    for key, order in entered.items():
        seen[key].before.update(combinations(order, 2))
    for event in history:
        _add_closing(seen, event, state.pipeline, resolver)


def _add_closing(
    seen: Mapping[str, _SeenPipeline], event: Event, pipeline: str | None, resolver: StageResolver
) -> None:
    """Count an event that names a stage and closes the deal, by its type or because the CRM says so of the stage."""
    if not (stage := event.data.get("stage")):
        return
    resolved = resolver.resolve(event.deal, event.data.get("pipeline") or pipeline, stage)
    outcome = _CLOSES.get(event.key.rank, resolved.outcome)
    if outcome is not StageOutcome.OPEN and resolved.pipeline in seen:
        seen[resolved.pipeline].closes.setdefault(stage, Counter())[outcome] += 1


def _key_of(seen: Mapping[str, _SeenPipeline], pipeline: str, stage: str) -> str | None:
    if pipeline != UNKNOWN_PIPELINE:
        return pipeline if pipeline in seen else None
    having = [key for key, one in seen.items() if stage in one.stages]
    return having[0] if len(having) == 1 else None


def _stages(key: str, seen: _SeenPipeline, names: _Names, outcome_of_name: OutcomeOfName) -> Iterator[FoundStage]:
    closing = []
    for stage in _ordered(seen):
        name, outcome = names.of_stage(key, stage)
        found = FoundStage(stage, name, outcome or outcome_of_name(name or stage) or StageOutcome.OPEN)
        if found.outcome is StageOutcome.OPEN:
            yield found
        else:
            closing.append(found)
    yield from closing
    for stage, outcomes in sorted(seen.closes.items()):
        # Deals were closed in stages that they were never moved to.
        if stage not in seen.stages:
            name, outcome = names.of_stage(key, stage)
            yield FoundStage(stage, name, outcome or outcomes.most_common(1)[0][0])


def _ordered(seen: _SeenPipeline) -> list[str]:
    """Stages by how many others they come before more often than after (Copeland's method); ties by visits and id."""

    def wins(stage: str) -> int:
        return sum(
            (seen.before[stage, other] > seen.before[other, stage])
            - (seen.before[stage, other] < seen.before[other, stage])
            for other in seen.stages
        )

    return sorted(seen.stages, key=lambda stage: (-wins(stage), -seen.stages[stage], stage))


class _Names:
    """What CRMs call pipelines and stages, and what they say of outcomes; sources that disagree say nothing."""

    def __init__(self, stage_map: StageMap) -> None:
        self._map = stage_map
        self._sources = sorted({key.source for key in (*stage_map.stages, *stage_map.pipelines)})

    def of_pipeline(self, key: str) -> str:
        found = {name for at, name in self._map.pipelines.items() if at.pipeline == key}
        return found.pop() if len(found) == 1 else ""

    def of_stage(self, key: str, stage: str) -> tuple[str, StageOutcome | None]:
        described = [self._map.at(StageKey(source, key, stage)) for source in self._sources]
        names = {one.name for one in described if one.name}
        outcomes = {one.outcome for one in described if one.outcome}
        return names.pop() if len(names) == 1 else "", outcomes.pop() if len(outcomes) == 1 else None
