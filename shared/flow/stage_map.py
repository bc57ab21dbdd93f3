"""What sources say of their stages and pipelines, as a map: a function of the set of descriptions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from shared.contracts.stages import STAGE_FIELDS, StageData, StageEvent
from shared.policy import StageOutcome
from shared.runtime.instants import micros

# A description without a pipeline is of the stage in every pipeline of its source; one without a stage of the pipeline.
ALL = ""


class StageKey(NamedTuple):
    """A stage, or a pipeline alone, as its CRM has it."""

    source: str
    pipeline: str
    stage: str


class StageField(NamedTuple):
    """One field of one description. Of two that say the same field of one place, the greater `stamp` counts."""

    place: StageKey
    field: str
    time: int
    id: str
    value: str

    @property
    def stamp(self) -> tuple[int, str, str]:
        return self.time, self.id, self.value


@dataclass(frozen=True, slots=True)
class StageDescription:
    """What is known of a stage; None: nobody told."""

    name: str | None = None
    order: int | None = None
    probability: float | None = None
    outcome: StageOutcome | None = None


def facts_of(event: StageEvent) -> list[StageField]:
    """What a description says, field by field; values as JSON text."""
    return facts(event.data, micros(event.time), event.id)


def facts(data: StageData, time: int, number: str) -> list[StageField]:
    """As `facts_of`, from its parts."""
    pipeline = StageKey(data.source, data.pipeline or ALL, ALL)
    stage = pipeline._replace(stage=data.stage or ALL)
    found = []
    for name in STAGE_FIELDS:
        place = pipeline if name == "pipeline_name" else stage
        # A name of no pipeline, or the order of no stage, says nothing.
        if name in data.model_fields_set and (place.pipeline if name == "pipeline_name" else place.stage):
            found.append(StageField(place, name, time, number, orjson.dumps(getattr(data, name)).decode()))
    return found


def latest(told: Iterable[StageField]) -> list[StageField]:
    """Of each field of each place the fact that counts."""
    kept: dict[tuple[StageKey, str], StageField] = {}
    for fact in told:
        other = kept.get((fact.place, fact.field))
        if other is None or other.stamp < fact.stamp:
            kept[fact.place, fact.field] = fact
    return list(kept.values())


@dataclass(frozen=True)
class StageMap:
    """Stages and names of pipelines of every source."""

    stages: Mapping[StageKey, StageDescription] = field(default_factory=dict)
    pipelines: Mapping[StageKey, str] = field(default_factory=dict)

    @staticmethod
    def of(told: Iterable[StageField]) -> StageMap:
        """The map that these facts make."""
        said: dict[StageKey, dict[str, Any]] = {}
        for fact in latest(told):
            if (value := orjson.loads(fact.value)) is not None:
                said.setdefault(fact.place, {})[fact.field] = value
        pipelines = {place: fields["pipeline_name"] for place, fields in said.items() if "pipeline_name" in fields}
        return StageMap({p: _described(fields) for p, fields in said.items() if p.stage}, pipelines)

    def at(self, place: StageKey) -> StageDescription:
        """What is known of a stage: what was said of it in this pipeline, else in every pipeline."""
        own, general = self.stages.get(place), self.stages.get(place._replace(pipeline=ALL))
        if own is None or general is None:
            return own or general or StageDescription()
        return StageDescription(
            own.name or general.name,
            general.order if own.order is None else own.order,
            general.probability if own.probability is None else own.probability,
            own.outcome or general.outcome,
        )

    @cached_property
    def _by_stage(self) -> dict[tuple[str, str], list[StageKey]]:
        found: dict[tuple[str, str], list[StageKey]] = {}
        for place in self.stages:
            found.setdefault((place.source, place.stage), []).append(place)
        return found

    @cached_property
    def _inside(self) -> dict[tuple[str, str], set[str]]:
        found: dict[tuple[str, str], set[str]] = {}
        for place in self.stages:
            found.setdefault(place[:2], set()).add(place.stage)
        return found

    @cached_property
    def names(self) -> dict[tuple[str, str], dict[str, str]]:
        """By source and pipeline: each stage's folded name, where no other stage there bears it or has it as id."""
        return {scope: self._unambiguous(*scope) for scope in self._inside}

    def _unambiguous(self, source: str, pipeline: str) -> dict[str, str]:
        stages = self._inside[source, pipeline] | self._inside.get((source, ALL), set())
        names = {s: name.casefold() for s in stages if (name := self.at(StageKey(source, pipeline, s)).name)}
        borne = Counter(names.values())
        borne.update(folded for s in stages if (folded := s.casefold()) != names.get(s))
        return {stage: name for stage, name in names.items() if borne[name] == 1}

    @cached_property
    def pipeline_names(self) -> dict[tuple[str, str], str]:
        """By source and pipeline: its folded name, where no other pipeline of the source bears it or has it as id."""
        names = {(p.source, p.pipeline): name.casefold() for p, name in self.pipelines.items()}
        ids = {(p.source, p.pipeline) for p in (*self.stages, *self.pipelines) if p.pipeline != ALL}
        borne = Counter((source, name) for (source, _), name in names.items())
        borne.update((s, p.casefold()) for s, p in ids if p.casefold() != names.get((s, p)))
        return {scope: name for scope, name in names.items() if borne[scope[0], name] == 1}

    def told(self, source: str, stage: str) -> list[StageKey]:
        """Where a stage was described: in which pipelines."""
        return self._by_stage.get((source, stage), [])


def _described(said: dict[str, Any]) -> StageDescription:
    outcome = said.get("outcome")
    return StageDescription(
        said.get("name"), said.get("order"), said.get("probability"), outcome and StageOutcome(outcome)
    )
