"""Our own format, for senders without a connector: `deal.*` and `stage.described` events.

docs/sources/deal-events.md documents it for senders.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from shared.connectors.base.facts import DealFact, Ignored, StageFact
from shared.connectors.base.fields import (
    FieldParser,
    InvalidField,
    amount_of,
    currency_of,
    first_of,
    id_of,
    order_of,
    probability_of,
    quoted,
    text_of,
    time_of,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageOutcome

# `deal.moved`, `andon.deal.moved`, and the names of others: `org.example.crm.deal.stage_changed.v1`.
_TYPE = re.compile(r"^(?:[\w-]+\.)*deal\.([a-z_]+)(?:\.v\d+)?$")
_STAGE_TYPE = re.compile(r"^(?:[\w-]+\.)*stage\.described(?:\.v\d+)?$")
_TYPES = {kind.value.rpartition(".")[2]: kind for kind in EventType} | {
    "stage_changed": EventType.MOVED,
    "updated": EventType.CHANGED,
    "activity": EventType.TOUCHED,
}
_ID = ("id", "deal_id", "deal")
# Our field, its accepted spellings, its parser.
Fields = tuple[tuple[str, tuple[str, ...], FieldParser], ...]


def _time_text_of(value: Any, field: str) -> str:
    return iso(time_of(value, field))


def _bool_of(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidField(f"{field}: {quoted(value)}; true or false is expected")
    return value


def _outcome_of(value: Any, field: str) -> str:
    if value not in list(StageOutcome):
        raise InvalidField(f"{field}: {quoted(value)} is not known; open, won or lost is expected")
    return str(value)


_FIELDS: Fields = (
    ("pipeline", ("pipeline", "pipeline_id"), id_of),
    ("stage", ("stage", "to_stage", "stage_id"), id_of),
    ("entered_at", ("entered_at",), _time_text_of),
    ("name", ("name", "title"), text_of),
    ("amount", ("amount",), amount_of),
    ("currency", ("currency",), currency_of),
    ("expected_close", ("expected_close",), text_of),
    ("next_step_at", ("next_step_at",), _time_text_of),
    ("reason", ("reason",), text_of),
    ("into", ("into",), id_of),
    ("activity", ("activity",), text_of),
    ("buyer", ("buyer",), _bool_of),
    ("url", ("url",), text_of),
)


_STAGE_FIELDS: Fields = (
    ("pipeline", ("pipeline", "pipeline_id"), id_of),
    ("stage", ("stage", "stage_id"), id_of),
    ("name", ("name",), text_of),
    ("pipeline_name", ("pipeline_name",), text_of),
    ("order", ("order",), order_of),
    ("probability", ("probability",), probability_of),
    ("outcome", ("outcome",), _outcome_of),
)


def parse_event(
    source: str, event_type: str, event_id: str, time: datetime, data: Any, subject: str | None = None
) -> DealFact | StageFact | Ignored:
    """The fact of one event; raises InvalidField, which names field, value and the way out.

    `subject` names the deal if the data do not: `deal/801`, `<source>:801` or `801`.
    """
    if not isinstance(data, dict):
        raise InvalidField(f"data: an object is expected, found {quoted(data)}")
    if _STAGE_TYPE.match(event_type):
        return _stage_fact(time, data)
    match = _TYPE.match(event_type)
    if match is None:
        return Ignored("not-a-deal")
    if match[1] not in _TYPES:
        raise InvalidField(f"type: {quoted(event_type)} is not known; use deal. and one of {', '.join(sorted(_TYPES))}")
    deal = _deal_id(source, data, subject)
    return DealFact(_TYPES[match[1]], event_id, deal, time, _deal_data(source, data))


def _deal_id(source: str, data: dict[str, Any], subject: str | None) -> str:
    if found := first_of(data, _ID):
        return _without_source(source, id_of(found[1], f"data.{found[0]}"))
    if not subject:
        raise InvalidField("data.id: is missing; send the id of the deal")
    return _without_source(source, id_of(subject.removeprefix("deal/"), "subject"))


def _without_source(source: str, deal: str) -> str:
    return deal.removeprefix(f"{source}:")


def _deal_data(source: str, data: dict[str, Any]) -> dict[str, Any]:
    amount = data.get("amount")
    if isinstance(amount, dict):
        data = {**data, "amount": amount.get("value"), "currency": amount.get("currency")}
    parsed = _parse_fields(data, _FIELDS)
    if parsed.get("into"):
        parsed["into"] = f"{source}:{_without_source(source, parsed['into'])}"
    return parsed


def _parse_fields(data: dict[str, Any], fields: Fields) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for field, names, parse in fields:
        if found := first_of(data, names):
            parsed[field] = None if found[1] is None else parse(found[1], f"data.{found[0]}")
    return parsed


def _stage_fact(time: datetime, data: dict[str, Any]) -> StageFact:
    parsed = _parse_fields(data, _STAGE_FIELDS)
    if not parsed.get("pipeline") and not parsed.get("stage"):
        raise InvalidField("data.stage: is missing; send the id of the stage, or only data.pipeline for a pipeline")
    return StageFact(time, parsed, incidental=False)
