"""Stage descriptions as the domain's values. It reads attributes of messages only, as `events` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from shared.contracts.stages import SAYS
from shared.flow.stage_map import ALL, StageField, StageKey
from shared.runtime.instants import micros

if TYPE_CHECKING:
    from shared.contracts.stages import StageData, StageEvent

PIPELINE_NAME = "pipeline_name"


def stage_fields(event: StageEvent) -> list[StageField]:
    """What a description sets, field by field."""
    return stage_data_fields(event.data, micros(event.time), event.id)


def stage_data_fields(data: StageData, time: int, id: str) -> list[StageField]:  # noqa: A002 (the envelope's name)
    """As `stage_fields`, from its parts: `time` in microseconds and `id` decide which of two descriptions counts."""
    pipeline = StageKey(data.source, data.pipeline or ALL, ALL)
    stage = pipeline._replace(stage=data.stage or ALL)
    fields = []
    for name in SAYS:
        key, is_named = (pipeline, pipeline.pipeline) if name == PIPELINE_NAME else (stage, stage.stage)
        # The name of no pipeline, or the order of no stage, describes nothing.
        if name in data.model_fields_set and is_named:
            fields.append(StageField(key, name, time, id, orjson.dumps(getattr(data, name)).decode()))
    return fields
