"""What the fold asks about the stages that events name."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from shared.policy import StageOutcome

# The pipeline of a deal of which no event named one.
UNKNOWN_PIPELINE = ""


class ResolvedStage(NamedTuple):
    """A stage by the policy's ids, or by the CRM's where the policy does not have it."""

    pipeline: str
    stage: str
    outcome: StageOutcome


class StageLookup(Protocol):
    """Resolves the stages that events name."""

    def resolve(self, deal: str, pipeline: str | None, stage: str) -> ResolvedStage:
        """Resolve a stage of the deal's CRM; `pipeline` is None where no event named it.

        A stage that neither policy nor CRM describe is open. Its pipeline is UNKNOWN_PIPELINE where no event named it.
        """

    def knows(self, pipeline: str, stage: str) -> bool:
        """Whether the policy has this resolved stage in this pipeline."""

    def pipeline_of(self, deal: str, pipeline: str | None) -> str:
        """Resolve a pipeline of the deal's CRM; UNKNOWN_PIPELINE where no event named one."""
