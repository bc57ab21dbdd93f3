"""Every stage that is known, as the policy has it: for `andon stages list`, and told to those who show stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.detector.store import stages as stage_store
from shared.flow.stage_map import StageDescription, StageKey
from shared.flow.stage_resolver import StageResolver
from shared.flow.visits import UNKNOWN_PIPELINE, ResolvedStage
from shared.policy import Policy, StageOutcome
from shared.postgres.pool import Executor

# How many deals are in a stage now, by source, and pipeline and stage as visits have them.
Deals = Mapping[tuple[str, str, str], int]
_SEEN = """
SELECT split_part(deal, ':', 1) AS source, pipeline, stage, count(*) FILTER (WHERE left_at IS NULL) AS deals FROM visit
WHERE $1 OR left_at IS NULL GROUP BY 1, 2, 3
"""


async def load_catalog(connection: Executor, policy: Policy, past: bool) -> StageCatalog:
    """What is stored, under a policy; with `past` also stages that hold no deal now."""
    resolver = StageResolver(policy, await stage_store.load(connection))
    return StageCatalog(policy, resolver, await deals(connection, past))


async def deals(connection: Executor, past: bool) -> dict[tuple[str, str, str], int]:
    """Deals by stage; with `past` also stages that hold none now."""
    return {(r["source"], r["pipeline"], r["stage"]): r["deals"] for r in await connection.fetch(_SEEN, past)}


@dataclass(frozen=True)
class CatalogStage:
    """One stage of one source. `home` is where visits to it are; `hint` says what to do, where there is something."""

    place: StageKey
    pipeline_name: str | None
    described: StageDescription
    home: ResolvedStage
    watched: bool
    deals: int
    hint: str | None


class StageCatalog:
    """What the policy makes of the stages that were described or seen."""

    def __init__(self, policy: Policy, places: StageResolver, deals: Deals) -> None:
        self._policy, self._places, self._deals = policy, places, deals
        self._told: dict[tuple[str, str], list[str]] = {}
        for (source, pipeline), key in places.pipelines.items():
            self._told.setdefault((source, key), []).append(pipeline)

    def rows(self) -> list[CatalogStage]:
        """Described stages, and those seen that are not among them; by source, pipeline and order."""
        found = {place: self._row(place) for place in self._places.map.stages}
        homes = {(row.place.source, *row.home[:2]) for row in found.values()}
        for seen in self._deals.keys() - homes:
            place = self._place(*seen)
            found.setdefault(place, self._row(place))
        return sorted(found.values(), key=lambda r: (*r.place[:2], _order(r.described.order), r.place.stage))

    def _place(self, source: str, pipeline: str, stage: str) -> StageKey:
        """The CRM's place of a visit: the pipeline by its id, where the policy names it by name."""
        told = self._told.get((source, pipeline), [])
        return StageKey(source, told[0] if len(told) == 1 else pipeline, stage)

    def _row(self, place: StageKey) -> CatalogStage:
        home = self._places.home(f"{place.source}:", place.pipeline or None, place.stage)
        watched = (home.pipeline, home.stage) in self._places.fixed
        described = self._places.map.at(place)
        count = self._deals.get((place.source, home.pipeline, home.stage), 0)
        name = self._places.map.pipelines.get(place._replace(stage=""))
        hint = self._difference(described, home) if watched else self._unknown(place, described, home)
        return CatalogStage(place, name, described, home, watched, count, hint)

    def _difference(self, described: StageDescription, home: ResolvedStage) -> str | None:
        if described.outcome in (None, home.outcome):
            return None
        return f"the policy has it {home.outcome}, the CRM {described.outcome}; mend outcome in the policy"

    def _unknown(self, place: StageKey, described: StageDescription, home: ResolvedStage) -> str | None:
        if home.outcome is not StageOutcome.OPEN:
            return None
        named = f" ({described.name})" if described.name else ""
        if home.pipeline == UNKNOWN_PIPELINE:
            return (
                f"stage {place.stage}{named} is in no pipeline of the policy, or in several, and nobody told which;"
                " name it in one, or import its pipeline with andon stages import"
            )
        what = f"stage {place.stage}{named} of pipeline {place.pipeline}"
        if home.pipeline not in self._policy.pipelines:
            called = self._places.map.pipelines.get(place._replace(stage=""))
            ways = f"{place.pipeline} or {called}" if called else place.pipeline
            return f"{what}: the policy has no such pipeline; add {ways} under pipelines to watch it"
        return f"{what} is not in the policy; {self._way(place, described)}"

    def _way(self, place: StageKey, described: StageDescription) -> str:
        entry = f'add `- {{id: "{place.stage}"}}`'
        if not described.name:
            return f"{entry} to its stages"
        names = self._places.map.names
        unique = (names.get((place.source, place.pipeline)) or names.get((place.source, ""), {})).get(place.stage)
        if unique is None:
            return f"{entry}: another of its stages is called {described.name}, too, so that the name alone will not do"
        return f"{entry} or name it `{described.name}`"

    def titles(self) -> dict[tuple[str, str], str]:
        """What CRMs call the policy's stages, where all that tell it agree."""
        names: dict[tuple[str, str], set[str]] = {}
        for row in self._described():
            if row.watched and row.described.name:
                names.setdefault(row.home[:2], set()).add(row.described.name)
        return {stage: found.pop() for stage, found in names.items() if len(found) == 1}

    def _described(self) -> Iterator[CatalogStage]:
        return (self._row(place) for place in self._places.map.stages)


def _order(order: int | None) -> tuple[bool, int]:
    return order is None, order or 0
