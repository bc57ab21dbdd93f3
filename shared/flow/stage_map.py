"""How sources describe their stages and pipelines, as a map: a function of the set of descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from shared.policy import StageOutcome

# A description without a pipeline is of the stage in every pipeline of its source; one without a stage of the pipeline.
ALL = ""


class StageKey(NamedTuple):
    """A stage, or a pipeline alone, by the ids of its CRM."""

    source: str
    pipeline: str
    stage: str


class StageField(NamedTuple):
    """One field of one description; `value` is JSON text.

    Of two that describe the same field of the same stage, the one with the greater `stamp` counts.
    """

    key: StageKey
    field: str
    time: int
    id: str
    value: str

    @property
    def stamp(self) -> tuple[int, str, str]:
        return self.time, self.id, self.value


@dataclass(frozen=True, slots=True)
class StageDescription:
    """How the CRM describes a stage; None for what it leaves open."""

    name: str | None = None
    order: int | None = None
    probability: float | None = None
    outcome: StageOutcome | None = None


def latest(fields: Iterable[StageField]) -> list[StageField]:
    """Of each field of each stage the one that counts."""
    kept: dict[tuple[StageKey, str], StageField] = {}
    for one in fields:
        other = kept.get((one.key, one.field))
        if other is None or other.stamp < one.stamp:
            kept[one.key, one.field] = one
    return list(kept.values())


@dataclass(frozen=True)
class StageMap:
    """Stages and names of pipelines of every source."""

    stages: Mapping[StageKey, StageDescription] = field(default_factory=dict)
    pipelines: Mapping[StageKey, str] = field(default_factory=dict)

    @staticmethod
    def of(fields: Iterable[StageField]) -> StageMap:
        """The map that these fields make."""
        known: dict[StageKey, dict[str, Any]] = {}
        for one in latest(fields):
            if (value := orjson.loads(one.value)) is not None:
                known.setdefault(one.key, {})[one.field] = value
        pipelines = {key: values["pipeline_name"] for key, values in known.items() if "pipeline_name" in values}
        return StageMap({key: _description(values) for key, values in known.items() if key.stage}, pipelines)

    def at(self, key: StageKey) -> StageDescription:
        """The description of a stage: field by field that in this pipeline, else that in every pipeline."""
        own, general = self.stages.get(key), self.stages.get(key._replace(pipeline=ALL))
        if own is None or general is None:
            return own or general or StageDescription()
        return StageDescription(
            own.name or general.name,
            general.order if own.order is None else own.order,
            general.probability if own.probability is None else own.probability,
            own.outcome or general.outcome,
        )

    def described(self, source: str, stage: str) -> list[StageKey]:
        """The descriptions of a stage, one for each pipeline that it is described in."""
        return self._by_stage.get((source, stage), [])

    @cached_property
    def _by_stage(self) -> dict[tuple[str, str], list[StageKey]]:
        found: dict[tuple[str, str], list[StageKey]] = {}
        for key in self.stages:
            found.setdefault((key.source, key.stage), []).append(key)
        return found

    @cached_property
    def _by_pipeline(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for key in self.stages:
            found.setdefault(key[:2], set()).add(key.stage)
        return found

    @cached_property
    def names(self) -> dict[tuple[str, str], dict[str, str]]:
        """By source and pipeline: each stage's folded name, unless another stage there has it as its name or id."""
        return {scope: self._unambiguous(*scope) for scope in self._by_pipeline}

    def _unambiguous(self, source: str, pipeline: str) -> dict[str, str]:
        stages = self._by_pipeline[source, pipeline] | self._by_pipeline.get((source, ALL), set())
        names = {s: name.casefold() for s in stages if (name := self.at(StageKey(source, pipeline, s)).name)}
        uses = Counter(names.values())
        uses.update(folded for s in stages if (folded := s.casefold()) != names.get(s))
        return {stage: name for stage, name in names.items() if uses[name] == 1}

    @cached_property
    def pipeline_names(self) -> dict[tuple[str, str], str]:
        """By source and pipeline: its folded name, unless another pipeline of the source has it as its name or id."""
        names = {(p.source, p.pipeline): name.casefold() for p, name in self.pipelines.items()}
        ids = {(p.source, p.pipeline) for p in (*self.stages, *self.pipelines) if p.pipeline != ALL}
        uses = Counter((source, name) for (source, _), name in names.items())
        uses.update((s, p.casefold()) for s, p in ids if p.casefold() != names.get((s, p)))
        return {scope: name for scope, name in names.items() if uses[scope[0], name] == 1}


def _description(values: dict[str, Any]) -> StageDescription:
    outcome = values.get("outcome")
    return StageDescription(
        values.get("name"), values.get("order"), values.get("probability"), outcome and StageOutcome(outcome)
    )
