"""Every known stage, as the policy has it: for `andon stages list` and `flow.stages`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.detector.store import stages as stage_store
from shared.flow.stage_lookup import UNKNOWN_PIPELINE, ResolvedStage
from shared.flow.stage_map import StageDescription, StageKey
from shared.flow.stage_resolver import StageResolver
from shared.policy import Policy, StageOutcome
from shared.postgres.pool import Executor

# Deals now in a stage, by (source, pipeline, stage), the latter two as visits have them.
DealCounts = Mapping[tuple[str, str, str], int]
_DEAL_COUNTS = """
SELECT split_part(deal, ':', 1) AS source, pipeline, stage, count(*) FILTER (WHERE left_at IS NULL) AS deals FROM visit
WHERE $1 OR left_at IS NULL GROUP BY 1, 2, 3
"""


async def load_catalog(connection: Executor, policy: Policy, past: bool) -> StageCatalog:
    """The catalog of what is stored, under a policy; with `past` also stages that hold no deal now."""
    resolver = StageResolver(policy, await stage_store.load(connection))
    return StageCatalog(policy, resolver, await deal_counts(connection, past))


async def deal_counts(connection: Executor, past: bool) -> dict[tuple[str, str, str], int]:
    """Deals now in each stage; with `past` also stages that hold none, at 0."""
    return {(r["source"], r["pipeline"], r["stage"]): r["deals"] for r in await connection.fetch(_DEAL_COUNTS, past)}


@dataclass(frozen=True)
class CatalogStage:
    """One stage of one source.

    `home` is the stage that its visits are in, `watched` whether the policy has that stage. `hint`: what to change in
    the policy; None where nothing needs a change.
    """

    key: StageKey
    pipeline_name: str | None
    described: StageDescription
    home: ResolvedStage
    watched: bool
    deals: int
    hint: str | None


class StageCatalog:
    """Stages that were described or that deals were seen in, resolved by the policy."""

    def __init__(self, policy: Policy, resolver: StageResolver, deals: DealCounts) -> None:
        self._policy, self._resolver, self._deals = policy, resolver, deals
        # The CRM's ids of a source's pipeline that the policy names: several where two have one name.
        self._crm_pipelines: dict[tuple[str, str], list[str]] = {}
        for (source, pipeline), key in resolver.pipelines.items():
            self._crm_pipelines.setdefault((source, key), []).append(pipeline)

    def rows(self) -> list[CatalogStage]:
        """Described stages, and seen ones that were not described; by source, pipeline and order."""
        found = {key: self._row(key) for key in self._resolver.stage_map.stages}
        homes = {(row.key.source, *row.home[:2]) for row in found.values()}
        for seen in self._deals.keys() - homes:
            key = self._crm_stage(*seen)
            found.setdefault(key, self._row(key))
        return sorted(found.values(), key=lambda r: (*r.key[:2], _order(r.described.order), r.key.stage))

    def titles(self) -> dict[tuple[str, str], str]:
        """What CRMs call the stages of the policy, where all CRMs that name a stage agree."""
        names: dict[tuple[str, str], set[str]] = {}
        for row in map(self._row, self._resolver.stage_map.stages):
            if row.watched and row.described.name:
                names.setdefault(row.home[:2], set()).add(row.described.name)
        return {stage: found.pop() for stage, found in names.items() if len(found) == 1}

    def _crm_stage(self, source: str, pipeline: str, stage: str) -> StageKey:
        """The stage of a visit by the CRM's own ids, where the policy names its pipeline."""
        ids = self._crm_pipelines.get((source, pipeline), [])
        return StageKey(source, ids[0] if len(ids) == 1 else pipeline, stage)

    def _row(self, key: StageKey) -> CatalogStage:
        home = self._resolver.resolve(f"{key.source}:", key.pipeline or None, key.stage)
        watched = (home.pipeline, home.stage) in self._resolver.policy_stages
        described = self._resolver.stage_map.at(key)
        count = self._deals.get((key.source, home.pipeline, home.stage), 0)
        name = self._resolver.stage_map.pipelines.get(key._replace(stage=""))
        hint = _outcome_hint(described, home) if watched else self._unwatched_hint(key, described, home)
        return CatalogStage(key, name, described, home, watched, count, hint)

    def _unwatched_hint(self, key: StageKey, described: StageDescription, home: ResolvedStage) -> str | None:
        if home.outcome is not StageOutcome.OPEN:
            return None
        name = f" ({described.name})" if described.name else ""
        if home.pipeline == UNKNOWN_PIPELINE:
            return (
                f"stage {key.stage}{name} is in no pipeline of the policy, or in several, and no source says which;"
                " name it in one, or import its pipeline with andon stages import"
            )
        subject = f"stage {key.stage}{name} of pipeline {key.pipeline}"
        if home.pipeline not in self._policy.pipelines:
            called = self._resolver.stage_map.pipelines.get(key._replace(stage=""))
            names = f"{key.pipeline} or {called}" if called else key.pipeline
            return f"{subject}: the policy has no such pipeline; add {names} under pipelines to watch it"
        return f"{subject} is not in the policy; {self._entry_hint(key, described)}"

    def _entry_hint(self, key: StageKey, described: StageDescription) -> str:
        entry = f'add `- {{id: "{key.stage}"}}`'
        if not described.name:
            return f"{entry} to its stages"
        names = self._resolver.stage_map.names
        unique = (names.get((key.source, key.pipeline)) or names.get((key.source, ""), {})).get(key.stage)
        if unique is None:
            return f"{entry}: another of its stages is called {described.name}, too, so the name is not enough"
        return f"{entry} or name it `{described.name}`"


def _outcome_hint(described: StageDescription, home: ResolvedStage) -> str | None:
    if described.outcome in (None, home.outcome):
        return None
    return f"the policy has it {home.outcome}, the CRM {described.outcome}; correct outcome in the policy"


def _order(order: int | None) -> tuple[bool, int]:
    return order is None, order or 0
