"""Our own form, for senders without a CRM of their own kind: `deal.*` and `stage.described` with documented data.

Documented for senders in docs/sources/deal-events.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from shared.connectors.base.json_source import order_of, share_of
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    StageFact,
    amount_of,
    currency_of,
    first_of,
    id_of,
    moment_of_text,
    shown,
    text_of,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageOutcome

# `deal.moved`, `andon.deal.moved`, and as others name theirs: `org.example.crm.deal.stage_changed.v1`.
_TYPE = re.compile(r"^(?:[\w-]+\.)*deal\.([a-z_]+)(?:\.v\d+)?$")
_STAGE_TYPE = re.compile(r"^(?:[\w-]+\.)*stage\.described(?:\.v\d+)?$")
_TYPES = {kind.value.rpartition(".")[2]: kind for kind in EventType} | {
    "stage_changed": EventType.MOVED,
    "updated": EventType.CHANGED,
    "activity": EventType.TOUCHED,
}
_ID = ("id", "deal_id", "deal")
Fields = tuple[tuple[str, tuple[str, ...], Callable[[Any, str], Any]], ...]


def _moment(value: Any, field: str) -> str:
    return iso(moment_of_text(value, field))


def _truth(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidField(f"{field}: {shown(value)}; true or false is expected")
    return value


def _outcome(value: Any, field: str) -> str:
    if value not in list(StageOutcome):
        raise InvalidField(f"{field}: {shown(value)} is not known; open, won or lost is expected")
    return str(value)


# Our field, the names under which it may come, how it is read.
_FIELDS: Fields = (
    ("pipeline", ("pipeline", "pipeline_id"), id_of),
    ("stage", ("stage", "to_stage", "stage_id"), id_of),
    ("entered_at", ("entered_at",), _moment),
    ("name", ("name", "title"), text_of),
    ("amount", ("amount",), amount_of),
    ("currency", ("currency",), currency_of),
    ("expected_close", ("expected_close",), text_of),
    ("next_step_at", ("next_step_at",), _moment),
    ("reason", ("reason",), text_of),
    ("into", ("into",), id_of),
    ("activity", ("activity",), text_of),
    ("buyer", ("buyer",), _truth),
    ("url", ("url",), text_of),
)


_STAGE_FIELDS: Fields = (
    ("pipeline", ("pipeline", "pipeline_id"), id_of),
    ("stage", ("stage", "stage_id"), id_of),
    ("name", ("name",), text_of),
    ("pipeline_name", ("pipeline_name",), text_of),
    ("order", ("order",), order_of),
    ("probability", ("probability",), share_of),
    ("outcome", ("outcome",), _outcome),
)


def told(
    source: str, kind: str, number: str, time: datetime, data: Any, subject: str | None = None
) -> DealFact | StageFact | Ignored:
    """One event; raises InvalidField that names field, value and the way out.

    `subject` names the deal where the data do not: `deal/801`, `<source>:801` or `801`.
    """
    if not isinstance(data, dict):
        raise InvalidField(f"data: an object is expected, found {shown(data)}")
    if _STAGE_TYPE.match(kind):
        return _described(time, data)
    match = _TYPE.match(kind)
    if match is None:
        return Ignored("not-a-deal")
    if match[1] not in _TYPES:
        raise InvalidField(f"type: {shown(kind)} is not known; use deal. and one of {', '.join(sorted(_TYPES))}")
    return DealFact(_TYPES[match[1]], number, _deal(source, data, subject), time, _read(source, data))


def _deal(source: str, data: dict[str, Any], subject: str | None) -> str:
    if found := first_of(data, _ID):
        return _bare(source, id_of(found[1], f"data.{found[0]}"))
    if not subject:
        raise InvalidField("data.id: is missing; send the id of the deal")
    return _bare(source, id_of(subject.removeprefix("deal/"), "subject"))


def _bare(source: str, deal: str) -> str:
    return deal.removeprefix(f"{source}:")


def _read(source: str, data: dict[str, Any]) -> dict[str, Any]:
    amount = data.get("amount")
    if isinstance(amount, dict):
        data = {**data, "amount": amount.get("value"), "currency": amount.get("currency")}
    said = _said(data, _FIELDS)
    if said.get("into"):
        said["into"] = f"{source}:{_bare(source, said['into'])}"
    return said


def _said(data: dict[str, Any], fields: Fields) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for field, names, read in fields:
        if found := first_of(data, names):
            said[field] = None if found[1] is None else read(found[1], f"data.{found[0]}")
    return said


def _described(time: datetime, data: dict[str, Any]) -> StageFact:
    said = _said(data, _STAGE_FIELDS)
    if not said.get("pipeline") and not said.get("stage"):
        raise InvalidField("data.stage: is missing; send the id of the stage, or data.pipeline to describe that alone")
    return StageFact(time, said, passing=False)
