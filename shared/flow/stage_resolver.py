"""Finds a CRM's stage in the policy: by its id, else by the name that the stage map gives it. It never guesses.

A name that two stages of one pipeline share finds nothing: the policy must name such stages by their ids.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from shared.flow.stage_lookup import UNKNOWN_PIPELINE, ResolvedStage
from shared.flow.stage_map import ALL, StageKey, StageMap
from shared.policy import Policy, StageOutcome

# Bounds the memory of resolved stages: a CRM may create any number.
MAX_CACHED = 50_000


def source_of(deal: str) -> str:
    """The source of a deal, whose id is `source:id`."""
    return deal.partition(":")[0]


class StageResolver:
    """Implements `StageLookup` for one policy and one stage map. Answers never change; keeps `max_cached`."""

    def __init__(self, policy: Policy, stage_map: StageMap, max_cached: int = MAX_CACHED) -> None:
        self.stage_map, self._max_cached = stage_map, max_cached
        self.policy_stages: dict[tuple[str | None, str], ResolvedStage] = {
            (key, stage.id): ResolvedStage(key, stage.id, stage.outcome)
            for key, pipeline in policy.pipelines.items()
            for stage in pipeline.stages
        }
        self._outcomes = [f"{key}/{stage}={found.outcome}" for (key, stage), found in self.policy_stages.items()]
        counted = Counter(stage for _, stage in self.policy_stages)
        self._shared = {stage for stage, count in counted.items() if count > 1}
        self.policy_stages |= {
            (None, found.stage): found for found in list(self.policy_stages.values()) if found.stage not in self._shared
        }
        keys = _folded(policy.pipelines)
        self.pipelines = {
            scope: keys[name]
            for scope, name in stage_map.pipeline_names.items()
            if name in keys and scope[1] not in policy.pipelines
        }
        self._named = {key: _folded(stage.id for stage in pipe.stages) for key, pipe in policy.pipelines.items()}
        self._cache: dict[tuple[str, str | None, str], ResolvedStage] = {}

    def resolve(self, deal: str, pipeline: str | None, stage: str) -> ResolvedStage:
        if (found := self.policy_stages.get((pipeline, stage))) is not None:
            return found
        key = (source_of(deal), pipeline, stage)
        if (found := self._cache.get(key)) is None:
            if len(self._cache) >= self._max_cached:
                self._cache.clear()
            found = self._cache[key] = self._resolve(*key)
        return found

    def knows(self, pipeline: str, stage: str) -> bool:
        return (pipeline, stage) in self.policy_stages

    def pipeline_of(self, deal: str, pipeline: str | None) -> str:
        return UNKNOWN_PIPELINE if pipeline is None else self.pipeline_key(source_of(deal), pipeline)

    @property
    def cached(self) -> int:
        """How many answers are kept."""
        return len(self._cache)

    def pipeline_key(self, source: str, pipeline: str) -> str:
        """The policy's key of a pipeline; the CRM's id where the policy does not have it."""
        return self.pipelines.get((source, pipeline), pipeline)

    def _resolve(self, source: str, pipeline: str | None, stage: str) -> ResolvedStage:
        found = self._anywhere(source, stage) if pipeline is None else self._within(source, pipeline, stage)
        if found is not None:
            return found
        key = UNKNOWN_PIPELINE if pipeline is None else self.pipeline_key(source, pipeline)
        return ResolvedStage(key, stage, self._outcome(source, pipeline, stage))

    def _within(self, source: str, pipeline: str, stage: str) -> ResolvedStage | None:
        """The policy's stage, where the CRM names the pipeline."""
        key = self.pipeline_key(source, pipeline)
        if (found := self.policy_stages.get((key, stage))) is not None:
            return found
        scope = (source, pipeline if (source, pipeline) in self.stage_map.names else ALL)
        names = self.stage_map.names.get(scope, {})
        own_id = self._named.get(key, {}).get(names.get(stage, ""))
        return self.policy_stages[key, own_id] if own_id else None

    def _anywhere(self, source: str, stage: str) -> ResolvedStage | None:
        """The policy's stage, where the CRM does not name the pipeline: the only one that it can be."""
        pipelines = [key.pipeline for key in self.stage_map.described(source, stage)]
        found = {self._within(source, pipeline, stage) for pipeline in pipelines if pipeline != ALL}
        if ALL in pipelines:
            name = self.stage_map.names[source, ALL].get(stage, "")
            found |= {self.policy_stages[key, own] for key, names in self._named.items() if (own := names.get(name))}
        found.discard(None)
        return found.pop() if len(found) == 1 else None

    def _outcome(self, source: str, pipeline: str | None, stage: str) -> StageOutcome:
        """The outcome in the CRM of a stage that the policy lacks; open if it gives none, or contradictory ones."""
        if pipeline is not None:
            return self.stage_map.at(StageKey(source, pipeline, stage)).outcome or StageOutcome.OPEN
        described = self.stage_map.described(source, stage)
        outcomes = {self.stage_map.at(key).outcome or StageOutcome.OPEN for key in described}
        return outcomes.pop() if len(outcomes) == 1 else StageOutcome.OPEN

    @property
    def digest(self) -> str:
        """Identifies all that visits depend on: the policy's outcomes, and what the stage map can change."""
        facts = [fact for facts in self.facts_by_source().values() for fact in facts]
        return hashlib.sha256("\n".join([*self._outcomes, *sorted(facts)]).encode()).hexdigest()[:16]

    def facts_by_source(self) -> dict[str, set[str]]:
        """What of the stage map visits depend on, by source: a source with the same facts has the same visits."""
        found: dict[str, set[str]] = {}
        for source, fact in self._facts():
            found.setdefault(source, set()).add(fact)
        return found

    def _facts(self) -> Iterator[tuple[str, str]]:
        for (source, pipeline), key in self.pipelines.items():
            yield source, f"{source}/{pipeline}->{key}"
        policy_names = {name for names in self._named.values() for name in names}
        for (source, pipeline), names in self.stage_map.names.items():
            # Also an empty list: a name that holds in every pipeline of the source may be ambiguous in this one.
            found = sorted(f"{stage}~{name}" for stage, name in names.items() if name in policy_names)
            if found or not policy_names.isdisjoint(self.stage_map.names.get((source, ALL), {}).values()):
                yield source, f"{source}/{pipeline}: {' '.join(found)}"
        for described in self.stage_map.stages:
            others = self.stage_map.described(described.source, described.stage)
            closing = any(self.stage_map.at(o).outcome in (StageOutcome.WON, StageOutcome.LOST) for o in others)
            known = all((self.pipeline_key(o.source, o.pipeline), o.stage) in self.policy_stages for o in others)
            if described.stage in self._shared or (closing and not known):
                yield described.source, f"{'/'.join(described)}={self.stage_map.at(described).outcome}"


def _folded(ids: Iterable[str]) -> dict[str, str]:
    """Ids by their casefolded text, where no other has the same."""
    listed = list(ids)
    uses = Counter(one.casefold() for one in listed)
    return {one.casefold(): one for one in listed if uses[one.casefold()] == 1}
