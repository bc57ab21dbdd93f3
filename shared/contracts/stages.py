"""`pipeline.stages`: names, order and outcomes of a source's stages and pipelines. `flow.stages`: stages as the
detector knows them. Both compacted.

Record key of the former: source/pipeline/stage/fields that are set. So compaction never loses a field: a later record
that sets only the name keeps an earlier one that sets the order.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from shared.contracts.envelope import INDEXED_BYTES, Envelope, Message, Name, SparseData, Text, Words, iso


class StageOutcome(StrEnum):
    """What it means for a deal to be in a stage: only open stages hold work."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


class StageData(SparseData):
    """What a source tells about one stage, or about a pipeline if `stage` is absent.

    An absent field means "not known"; null clears a value. Of two that set a field, the later one counts: by `time` of
    the envelope, then by its `id` as text.
    """

    source: Name
    pipeline: Name | None = Field(None, description="the CRM's id; absent if it has no pipelines or does not tell")
    stage: Name | None = Field(None, description="the CRM's id; absent if only the pipeline is described")
    name: Text | None = Field(None, description="name of the stage")
    pipeline_name: Text | None = Field(None, description="name of the pipeline")
    order: int | None = Field(None, ge=-1_000_000, le=1_000_000, description="position in the pipeline, low is early")
    probability: float | None = Field(None, ge=0, le=1, description="probability of winning, as the CRM has it")
    outcome: StageOutcome | None = Field(None, description="whether a deal in this stage is open, won or lost")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.pipeline is None and self.stage is None:
            raise ValueError("neither pipeline nor stage is named; send the id of one")
        if sum(len((part or "").encode()) for part in self._parts) > 2 * INDEXED_BYTES:
            raise ValueError(
                f"source, pipeline and stage have over {2 * INDEXED_BYTES} bytes in UTF-8; send shorter ids"
            )
        return self

    @property
    def _parts(self) -> tuple[str, str | None, str | None]:
        return self.source, self.pipeline, self.stage

    @property
    def path(self) -> str:
        """`source/pipeline/stage`, an absent part is empty; a slash within a part is %2F."""
        return "/".join(_part(part or "") for part in self._parts)

    @property
    def key(self) -> str:
        """The record's key."""
        return f"{self.path}/{'+'.join(field for field in STAGE_FIELDS if field in self.model_fields_set)}"


STAGE_FIELDS = ("name", "pipeline_name", "order", "probability", "outcome")


def _part(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")


class StageEvent(Envelope[StageData]):
    """One description. `source` is the source, `subject` its path, `time` since when this is known."""

    type: Literal["andon.stage.described"] = "andon.stage.described"
    # Made of several ids, each up to the length of a name.
    subject: Words

    @staticmethod
    def of(data: StageData, time: datetime, received_at: datetime) -> StageEvent:
        """A description whose id derives from its content and time: published twice, it is the same."""
        digest = hashlib.sha256(data.model_dump_json(exclude_unset=True).encode()).hexdigest()[:16]
        return StageEvent(
            id=f"{digest}/{iso(time)}",
            source=data.source,
            subject=data.path,
            time=time,
            receivedat=received_at,
            data=data,
        )


class StageStatusData(Message):
    """Status of a stage, by the ids that problems and measures use: its name, and whether the policy has it."""

    pipeline: str = Field(description="empty if not known")
    stage: Name
    name: Text | None = Field(None, description="its name in the CRM, if known")
    watched: bool = Field(description="whether the policy has it")
    deals: int = Field(0, ge=0, description="deals in it now; set for stages that the policy does not have")
    hint: str | None = Field(None, description="what to do to have it watched")

    @property
    def key(self) -> str:
        """The record's key: pipeline/stage."""
        return f"{_part(self.pipeline)}/{_part(self.stage)}"


class StageStatusEvent(Envelope[StageStatusData]):
    """Status of a stage, published whenever it changes. Topic: `flow.stages`."""

    type: Literal["andon.stage.seen"] = "andon.stage.seen"
    subject: Words
