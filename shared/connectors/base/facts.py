"""Facts that connectors parse out of requests and API records, and how to build them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from shared.contracts.dead import DeadReason
from shared.contracts.events import EventType


class UnreadableField(NamedTuple):
    """In place of a value that could not be parsed. The field is left out of the event; `detail` says why."""

    detail: str


class DealFact(NamedTuple):
    """An event of a deal. `deal` is the CRM's own id; `data` has fields of `DealData`; each may be UnreadableField."""

    type: EventType
    id: str
    deal: str
    time: datetime
    data: dict[str, Any]


class StageFact(NamedTuple):
    """A description of a stage or pipeline; `data` has the fields of `StageData` except the source.

    `incidental`: it came along with a deal and will come again with the next one.
    """

    time: datetime
    data: dict[str, Any]
    incidental: bool = True


class Ignored(NamedTuple):
    """Genuine and understood, but irrelevant to Andon."""

    reason: str


class Invalid(NamedTuple):
    """Genuine but not translatable: `raw` goes to the dead letters."""

    detail: str
    raw: bytes
    reason: DeadReason = DeadReason.UNTRANSLATABLE


Parsed = DealFact | StageFact | Ignored | Invalid


def state_facts(
    event_id: str,
    deal: str,
    time: datetime,
    status: str,
    data: dict[str, Any],
    created: bool = False,
    restored: bool = False,
) -> list[Parsed]:
    """Facts from a message that carries the whole state of a deal; `status` is open, won or lost.

    If a message was lost, the next one makes up for it: a move into the current stage changes nothing. `restored`: the
    deal may have been deleted before; without a stage, one that was won or lost is open again.
    """
    events: list[Parsed] = []
    if restored:
        events.append(DealFact(EventType.REOPENED, f"{event_id}/reopened", deal, time, {}))
    if created:
        events.append(DealFact(EventType.CREATED, event_id, deal, time, data))
    if status == "won":
        return [*events, DealFact(EventType.WON, f"{event_id}/won", deal, time, data)]
    if status == "lost":
        return [*events, DealFact(EventType.LOST, f"{event_id}/lost", deal, time, data)]
    if created:
        return events
    kind = EventType.MOVED if data.get("stage") else EventType.CHANGED
    return [*events, DealFact(kind, event_id, deal, time, data)]


def stage_facts(time: datetime, ids: Mapping[str, Any], **described: Any) -> list[StageFact]:
    """What a deal's message says about its stage and pipeline; `ids` holds `stage` and `pipeline`.

    Drops values that are not usable names: they must not cost the deal its event.
    """
    key = {part: ids[part] for part in ("pipeline", "stage") if ids.get(part)}
    usable = {
        field: text
        for field, value in described.items()
        if isinstance(value, str) and (text := value.replace("\x00", "")[:4000])
        if ("pipeline" if field == "pipeline_name" else "stage") in key
    }
    return [StageFact(time, key | usable)] if usable else []
