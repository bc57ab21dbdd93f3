"""Our own form of an event, for senders without a CRM of their own kind: `deal.*` with documented data.

Documented for senders in docs/sources/deal-events.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from services.intake.sources.base import (
    Ignored,
    Told,
    UnclearError,
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

# `deal.moved`, `andon.deal.moved`, and as others name theirs: `org.example.crm.deal.stage_changed.v1`.
_TYPE = re.compile(r"^(?:[\w-]+\.)*deal\.([a-z_]+)(?:\.v\d+)?$")
_TYPES = {kind.value.rpartition(".")[2]: kind for kind in EventType} | {
    "stage_changed": EventType.MOVED,
    "updated": EventType.CHANGED,
    "activity": EventType.TOUCHED,
}
_ID = ("id", "deal_id", "deal")


def _moment(value: Any, field: str) -> str:
    return iso(moment_of_text(value, field))


def _truth(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise UnclearError(f"{field}: {shown(value)}; true or false is expected")
    return value


# Our field, the names under which it may come, how it is read.
_FIELDS: tuple[tuple[str, tuple[str, ...], Callable[[Any, str], Any]], ...] = (
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


def told(source: str, kind: str, number: str, time: datetime, data: Any, subject: str | None = None) -> Told | Ignored:
    """One event; raises UnclearError that names field, value and the way out.

    `subject` names the deal where the data do not: `deal/801`, `<source>:801` or `801`.
    """
    if not isinstance(data, dict):
        raise UnclearError(f"data: an object is expected, found {shown(data)}")
    match = _TYPE.match(kind)
    if match is None:
        return Ignored("not-a-deal")
    if match[1] not in _TYPES:
        raise UnclearError(f"type: {shown(kind)} is not known; use deal. and one of {', '.join(sorted(_TYPES))}")
    return Told(_TYPES[match[1]], number, _deal(source, data, subject), time, _read(source, data))


def _deal(source: str, data: dict[str, Any], subject: str | None) -> str:
    if found := first_of(data, _ID):
        return _bare(source, id_of(found[1], f"data.{found[0]}"))
    if not subject:
        raise UnclearError("data.id: is missing; send the id of the deal")
    return _bare(source, id_of(subject.removeprefix("deal/"), "subject"))


def _bare(source: str, deal: str) -> str:
    return deal.removeprefix(f"{source}:")


def _read(source: str, data: dict[str, Any]) -> dict[str, Any]:
    amount = data.get("amount")
    if isinstance(amount, dict):
        data = {**data, "amount": amount.get("value"), "currency": amount.get("currency")}
    said: dict[str, Any] = {}
    for field, names, read in _FIELDS:
        if found := first_of(data, names):
            said[field] = None if found[1] is None else read(found[1], f"data.{found[0]}")
    if said.get("into"):
        said["into"] = f"{source}:{_bare(source, said['into'])}"
    return said
