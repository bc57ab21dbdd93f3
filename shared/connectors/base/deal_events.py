"""Our own format, for senders without a connector: `deal.*` and `stage.described` events.

docs/sources/deal-events.md documents it for senders.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from shared.connectors.base.facts import DealFact, Ignored, StageFact
from shared.connectors.base.fields import (
    FieldParser,
    InvalidField,
    amount_of,
    currency_of,
    field_value,
    first_of,
    id_of,
    object_of,
    order_of,
    probability_of,
    quoted,
    text_of,
    time_of,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageOutcome

# `deal.moved`, `andon.deal.moved`, and names of other systems: `org.example.crm.deal.stage_changed.v1`.
_TYPE = re.compile(r"^(?:[\w-]+\.)*deal\.([a-z_]+)(?:\.v\d+)?$")
_STAGE_TYPE = re.compile(r"^(?:[\w-]+\.)*stage\.described(?:\.v\d+)?$")
_TYPES = {kind.value.rpartition(".")[2]: kind for kind in EventType} | {
    "stage_changed": EventType.MOVED,
    "updated": EventType.CHANGED,
    "activity": EventType.TOUCHED,
}
_ID = ("id", "deal_id", "deal")
# Words of names in any case: `dealMoved`, `Deal.Moved`, `crm/deal_moved`.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_DEAL_WORD = re.compile(
    r"(?:deals?|opportunit(?:y|ies))(?:stages?|status(?:es)?|pipelines?)?"
    rf"(?:{'|'.join(sorted(name.replace('_', '') for name in _TYPES))}|update|change|move)?"
)
# Before the id in a subject.
_DEAL_PREFIX = "deal/"
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
    ("primary", ("primary",), _bool_of),
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


class SentEvent(NamedTuple):
    """One event in our own format; `time` is `time_field` as it was sent.

    `read_data` parses the data, or raises InvalidField. `subject` names the deal if the data do not: `deal/801`,
    `<source>:801` or `801`.
    """

    type: str
    id: str
    time: Any
    time_field: str
    read_data: Callable[[], Any]
    subject: str | None = None


def parse_event(source: str, event: SentEvent) -> DealFact | StageFact | Ignored:
    """The fact of one event; raises InvalidField, which names field, value and the way out."""
    is_stage, match = _STAGE_TYPE.match(event.type), _TYPE.match(event.type)
    if not is_stage and match is None and not _names_a_deal(event):
        return Ignored("not-a-deal")
    if not is_stage and (match is None or match[1] not in _TYPES):
        known = ", ".join(sorted(_TYPES))
        raise InvalidField(f"type: {quoted(event.type)} is not known; use deal. and one of {known}")
    data = object_of(event.read_data(), "data")
    time = time_of(event.time, event.time_field)
    if match is None:
        return _stage_fact(time, data)
    deal = _deal_id(source, data, event.subject)
    return DealFact(_TYPES[match[1]], event.id, deal, time, _deal_data(source, data))


def _names_a_deal(event: SentEvent) -> bool:
    """Whether an event of an unknown type seems to be about a deal or stage, so that it must not be ignored."""
    # The last part of a subject is an id, unless it stands alone: `deal:801`.
    kinds, _, last = (event.subject or "").rpartition("/")
    words = {word.lower() for word in _WORD.findall(f"{event.type} {kinds or last}"[:400])}
    return any(map(_DEAL_WORD.fullmatch, words)) or ("described" in words and not words.isdisjoint(("stage", "stages")))


def _deal_id(source: str, data: dict[str, Any], subject: str | None) -> str:
    if found := first_of(data, _ID):
        return _without_source(source, id_of(found[1], f"data.{found[0]}"))
    if not subject:
        raise InvalidField("data.id: is missing; send the id of the deal")
    deal = subject.removeprefix(_DEAL_PREFIX)
    if "/" in deal:
        raise InvalidField(f"subject: {quoted(subject)} does not name a deal; send deal/ and its id, or data.id")
    return _without_source(source, id_of(deal, "subject"))


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
            parsed[field] = field_value(field, found[1], parse, f"data.{found[0]}")
    return parsed


def _stage_fact(time: datetime, data: dict[str, Any]) -> StageFact:
    parsed = _parse_fields(data, _STAGE_FIELDS)
    if not parsed.get("pipeline") and not parsed.get("stage"):
        raise InvalidField("data.stage: is missing; send the id of the stage, or only data.pipeline for a pipeline")
    return StageFact(time, parsed, incidental=False)
