"""`pipeline.stages`: what a description says, and what its key keeps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from pydantic import ValidationError

from shared.contracts.stages import StageData, StageEvent, StageOutcome

SCHEMA = Path(__file__).resolve().parents[3] / "docs" / "schemas" / "pipeline.stages.json"


def test_a_field_that_is_absent_is_not_written() -> None:
    data = StageData(source="acme", pipeline="default", stage="1234567", name="Proposal", outcome=StageOutcome.OPEN)
    event = StageEvent(id="1", source="acme", subject=data.path, time=datetime(2026, 3, 1, tzinfo=UTC), data=data)

    written = json.loads(event.to_json())

    jsonschema.validate(written, json.loads(SCHEMA.read_text()))
    assert written["type"] == "andon.stage.described"
    assert written["subject"] == "acme/default/1234567"
    assert set(written["data"]) == {"source", "pipeline", "stage", "name", "outcome"}


def test_keys_are_apart_whatever_ids_hold_and_compaction_keeps_what_else_was_said() -> None:
    keys = {
        StageData(source="a", pipeline="b/c", stage="d", name="x").key,
        StageData(source="a", pipeline="b", stage="c/d", name="x").key,
        StageData(source="a", stage="b/c/d", name="x").key,
        StageData(source="a", pipeline="b%2Fc", stage="d", name="x").key,
        StageData(source="a", pipeline="b/c", stage="d", order=1).key,
        StageData(source="a", pipeline="b/c", pipeline_name="x").key,
    }

    assert len(keys) == 6


@pytest.mark.parametrize("said", [{}, {"pipeline": "p", "probability": 1.5}, {"pipeline": "p", "outcome": "closed"}])
def test_what_cannot_be_meant_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StageData.model_validate({"source": "acme", **said})
