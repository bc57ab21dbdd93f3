"""`pipeline.stages`: what a source's stages and pipelines are called, and where they stand. `flow.stages`: as the
detector has them. Both compacted.

Record key of the former: source/pipeline/stage/the fields that are said, so that compaction never takes a field away: a
later record that says only the name leaves the order of an earlier one in the topic.
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
    """What is said of one stage, or of a pipeline alone where `stage` is absent.

    An absent field says nothing; null takes a value back. Of two that say the same field, the later one counts: by the
    envelope's `time`, then by its `id` as text.
    """

    source: Name
    pipeline: Name | None = Field(None, description="the CRM's id; absent where it has no pipelines or does not tell")
    stage: Name | None = Field(None, description="the CRM's id; absent where only the pipeline is described")
    name: Text | None = Field(None, description="name of the stage")
    pipeline_name: Text | None = Field(None, description="name of the pipeline")
    order: int | None = Field(None, ge=-1_000_000, le=1_000_000, description="place in the pipeline, low is early")
    probability: float | None = Field(None, ge=0, le=1, description="of winning, as the CRM has it")
    outcome: StageOutcome | None = Field(None, description="a deal that comes here is open, won or lost")

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
    def place(self) -> str:
        """`source/pipeline/stage`, a part that is absent left empty; slashes within a part as %2F."""
        return "/".join(_part(part or "") for part in self._parts)

    @property
    def key(self) -> str:
        """The record's key."""
        return f"{self.place}/{'+'.join(field for field in SAYS if field in self.model_fields_set)}"


SAYS = ("name", "pipeline_name", "order", "probability", "outcome")


def _part(text: str) -> str:
    return text.replace("%", "%25").replace("/", "%2F")


class StageEvent(Envelope[StageData]):
    """One description. `source` is the source, `subject` the place, `time` since when it is known to be so."""

    type: Literal["andon.stage.described"] = "andon.stage.described"
    # Of several ids, each of which may be as long as a name.
    subject: Words

    @staticmethod
    def of(data: StageData, time: datetime, received_at: datetime) -> StageEvent:
        """Known by what it says and when: told twice, it is the same description."""
        digest = hashlib.sha256(data.model_dump_json(exclude_unset=True).encode()).hexdigest()[:16]
        return StageEvent(
            id=f"{digest}/{iso(time)}",
            source=data.source,
            subject=data.place,
            time=time,
            receivedat=received_at,
            data=data,
        )


class StageStatusData(Message):
    """A stage by the names that problems and measures have: what its CRM calls it, and whether the policy knows it."""

    pipeline: str = Field(description="empty where nobody told it")
    stage: Name
    name: Text | None = Field(None, description="what the CRM calls it, where that is known")
    watched: bool = Field(description="whether the policy knows it")
    deals: int = Field(0, ge=0, description="deals in it now; told of stages that the policy does not know")
    hint: str | None = Field(None, description="what to do so that the policy watches it")

    @property
    def key(self) -> str:
        """The record's key: pipeline/stage."""
        return f"{_part(self.pipeline)}/{_part(self.stage)}"


class StageStatusEvent(Envelope[StageStatusData]):
    """A stage as the detector has it, told again when something of it is other than before. Topic: `flow.stages`."""

    type: Literal["andon.stage.seen"] = "andon.stage.seen"
    subject: Words
