"""Where the policy has a stage of a CRM: by its id, else by the name that the stage map knows. Never by a guess.

A name that two stages of one pipeline bear leads nowhere: such stages are named by their ids.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from shared.flow.stage_map import ALL, StageKey, StageMap
from shared.flow.visits import UNKNOWN_PIPELINE, ResolvedStage
from shared.policy import Policy, StageOutcome

# Stages that a CRM makes without end must not fill the memory.
REMEMBERED = 50_000


class StageResolver:
    """Implements `flow.Stages`. What the policy names by id is fixed; the rest is worked out once for each stage."""

    def __init__(self, policy: Policy, stage_map: StageMap) -> None:
        self.map = stage_map
        self.fixed: dict[tuple[str | None, str], ResolvedStage] = {
            (key, stage.id): ResolvedStage(key, stage.id, stage.outcome)
            for key, pipeline in policy.pipelines.items()
            for stage in pipeline.stages
        }
        self._outcomes = [f"{key}/{stage}={home.outcome}" for (key, stage), home in self.fixed.items()]
        counted = Counter(stage for _, stage in self.fixed)
        self._shared = {stage for stage, count in counted.items() if count > 1}
        self.fixed |= {(None, h.stage): h for h in list(self.fixed.values()) if h.stage not in self._shared}
        keys = _folded(policy.pipelines)
        self.pipelines = {
            scope: keys[name]
            for scope, name in stage_map.pipeline_names.items()
            if name in keys and scope[1] not in policy.pipelines
        }
        self._named = {key: _folded(stage.id for stage in pipe.stages) for key, pipe in policy.pipelines.items()}
        self._found: dict[tuple[str, str | None, str], ResolvedStage] = {}

    def home(self, deal: str, pipeline: str | None, stage: str) -> ResolvedStage:
        if (found := self.fixed.get((pipeline, stage))) is not None:
            return found
        place = (deal.partition(":")[0], pipeline, stage)
        if (found := self._found.get(place)) is None:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            found = self._found[place] = self._home(*place)
        return found

    def key(self, source: str, pipeline: str) -> str:
        """The policy's key of a pipeline; the CRM's id where the policy does not know it."""
        return self.pipelines.get((source, pipeline), pipeline)

    def _home(self, source: str, pipeline: str | None, stage: str) -> ResolvedStage:
        found = self._anywhere(source, stage) if pipeline is None else self._within(source, pipeline, stage)
        if found is not None:
            return found
        key = UNKNOWN_PIPELINE if pipeline is None else self.key(source, pipeline)
        return ResolvedStage(key, stage, self._outcome(source, pipeline, stage))

    def _within(self, source: str, pipeline: str, stage: str) -> ResolvedStage | None:
        """The policy's stage, where the CRM told the pipeline."""
        key = self.key(source, pipeline)
        if (fixed := self.fixed.get((key, stage))) is not None:
            return fixed
        scope = (source, pipeline if (source, pipeline) in self.map.names else ALL)
        names = self.map.names.get(scope, {})
        called = self._named.get(key, {}).get(names.get(stage, ""))
        return self.fixed[key, called] if called else None

    def _anywhere(self, source: str, stage: str) -> ResolvedStage | None:
        """The policy's stage, where nobody told the pipeline: the only one that it can be."""
        told = [place.pipeline for place in self.map.told(source, stage)]
        found = {self._within(source, pipeline, stage) for pipeline in told if pipeline != ALL}
        if ALL in told:
            name = self.map.names[source, ALL].get(stage, "")
            found |= {self.fixed[key, own] for key, names in self._named.items() if (own := names.get(name))}
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    def _outcome(self, source: str, pipeline: str | None, stage: str) -> StageOutcome:
        """What the CRM told of a stage that the policy does not know; open where it told nothing, or both."""
        if pipeline is not None:
            return self.map.at(StageKey(source, pipeline, stage)).outcome or StageOutcome.OPEN
        told = {self.map.at(place).outcome or StageOutcome.OPEN for place in self.map.told(source, stage)}
        return told.pop() if len(told) == 1 else StageOutcome.OPEN

    @property
    def digest(self) -> str:
        """Names what visits depend on: the policy's outcomes, and what of the stage map may lead elsewhere."""
        return hashlib.sha256("\n".join([*self._outcomes, *sorted(self._terms())]).encode()).hexdigest()[:16]

    def _terms(self) -> Iterator[str]:
        yield from (f"{source}/{pipeline}->{key}" for (source, pipeline), key in self.pipelines.items())
        sought = {name for names in self._named.values() for name in names}
        for (source, pipeline), names in self.map.names.items():
            # Also none: here, what is told of every pipeline of the source may be ambiguous.
            found = sorted(f"{stage}~{name}" for stage, name in names.items() if name in sought)
            if found or not sought.isdisjoint(self.map.names.get((source, ALL), {}).values()):
                yield f"{source}/{pipeline}: {' '.join(found)}"
        for place in self.map.stages:
            others = self.map.told(place.source, place.stage)
            closing = any(self.map.at(other).outcome in (StageOutcome.WON, StageOutcome.LOST) for other in others)
            known = all((self.key(p.source, p.pipeline), p.stage) in self.fixed for p in others)
            if place.stage in self._shared or (closing and not known):
                yield f"{'/'.join(place)}={self.map.at(place).outcome}"


def _folded(ids: Iterable[str]) -> dict[str, str]:
    """Ids by their folded text, where that is no other's too."""
    listed = list(ids)
    counted = Counter(one.casefold() for one in listed)
    return {one.casefold(): one for one in listed if counted[one.casefold()] == 1}
