"""What to call a stage: the policy's name, else the CRM's, else the id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.policy.model import Policy


@dataclass(frozen=True)
class StageTitles:
    """The titles of a policy's stages, by (pipeline, stage)."""

    titles: Mapping[tuple[str, str], str]

    @classmethod
    def of(cls, policy: Policy, crm_names: Mapping[tuple[str, str], str] | None = None) -> Self:
        """`crm_names`: what CRMs call the policy's stages, by (pipeline, stage)."""
        names = crm_names or {}
        return cls(
            {
                (key, stage.id): stage.name or names.get((key, stage.id)) or stage.id
                for key, pipeline in policy.pipelines.items()
                for stage in pipeline.stages
            }
        )

    def title(self, pipeline: str, stage: str) -> str:
        """The title of a stage; its id where the policy does not have it."""
        return self.titles.get((pipeline, stage), stage)
