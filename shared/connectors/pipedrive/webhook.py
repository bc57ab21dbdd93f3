"""Pipedrive's webhooks v2 and v1: whole deals with their previous values; HTTP Basic, no signature.

Source: Pipedrive's guides "Webhooks v2" and "Webhooks v1"; docs/sources/pipedrive.md has the set-up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Parsed, StageFact, state_facts
from shared.connectors.base.fields import (
    FieldParser,
    InvalidField,
    amount_of,
    currency_of,
    date_of,
    field_value,
    id_of,
    is_record_type,
    map_fields,
    object_of,
    order_of,
    probability_of,
    quoted,
    text_of,
    time_of_ms,
    utc_text_of,
    utc_time_of,
)
from shared.connectors.base.json_source import JsonSource
from shared.connectors.base.settings import ApiSettings, ApiSourceSettings
from shared.connectors.base.signatures import basic_credentials, verify_basic
from shared.connectors.base.source import Request
from shared.contracts.events import EventType

FIELDS = {
    "pipeline_id": ("pipeline", id_of),
    "stage_id": ("stage", id_of),
    "title": ("name", text_of),
    "value": ("amount", amount_of),
    "currency": ("currency", currency_of),
    "expected_close_date": ("expected_close", date_of),
    "lost_reason": ("reason", text_of),
}
_ACTIONS = {"create": "create", "added": "create", "change": "change", "updated": "change", "merged": "change"}


class PipedriveApiSettings(ApiSettings):
    """`token`: the API token of an administrator; `url`: https://COMPANY.pipedrive.com."""

    per_second: float = Field(2, gt=0, le=1000, description="requests per second, with a burst of the same size")


class PipedriveSettings(ApiSourceSettings[PipedriveApiSettings]):
    """`secrets` are `user:password`, as set on the webhook (HTTP auth)."""


class PipedriveWebhook(JsonSource):
    kind: ClassVar[str] = "pipedrive"
    setup_steps: ClassVar[str] = (
        "Tools and apps > Webhooks > Create: event action *, object deal (others for activity, stage and pipeline), "
        "version 2, HTTP auth user and password as in the secret user:password."
    )
    settings_type = PipedriveSettings

    def __init__(self, name: str, settings: PipedriveSettings) -> None:
        super().__init__(name, settings)
        self._credentials = basic_credentials(settings.secrets)

    @classmethod
    def new_secret(cls) -> str:
        return f"andon:{secrets.token_urlsafe(24)}"

    def verify(self, request: Request) -> None:
        verify_basic(request, self._credentials)

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = object_of(part, "body")
        meta = object_of(document.get("meta"), "meta")
        v1 = document.get("v") == 1 or "version" not in meta
        entity = meta.get("object" if v1 else "entity")
        current = document.get("current" if v1 else "data")
        if entity == "activity":
            return _touched(document, meta, v1, current)
        if entity in ("stage", "pipeline"):
            return _stage_facts(str(entity), meta, current)
        if not is_record_type(entity, "deal", "meta.object" if v1 else "meta.entity"):
            return [Ignored("not-a-deal")]
        time, event_id = _time(meta), _event_id(document, meta, v1)
        deal = id_of(meta.get("id" if v1 else "entity_id"), "meta.id" if v1 else "meta.entity_id")
        return self._deal_facts(meta, event_id, deal, time, current, document.get("previous"))

    def _deal_facts(
        self, meta: dict[str, Any], event_id: str, deal: str, time: datetime, current: Any, previous: Any
    ) -> Iterable[Parsed]:
        action = str(meta.get("action"))
        if action in ("delete", "deleted"):
            if (into := meta.get("merged_to_id")) is not None:
                into_deal = {"into": f"{self.name}:{id_of(into, 'meta.merged_to_id')}"}
                return [DealFact(EventType.MERGED, event_id, deal, time, into_deal)]
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if action not in _ACTIONS:
            raise InvalidField(f"meta.action: {quoted(action)} is not known; create, change or delete is expected")
        record = object_of(current, "data")
        data = map_fields(record, FIELDS)
        if isinstance(since := record.get("stage_change_time") or record.get("add_time"), str):
            data["entered_at"] = field_value("entered_at", since, utc_text_of, "stage_change_time")
        if isinstance(host := meta.get("host"), str) and host.endswith(".pipedrive.com"):
            data["url"] = field_value("url", f"https://{host}/deal/{deal}", text_of, "meta.host")
        if removed := removal(record, time):
            return [
                *_closed_before(record, removed[0], event_id, deal, data),
                DealFact(EventType.DELETED, event_id, deal, *removed),
            ]
        status, created = status_of(record.get("status")), _ACTIONS[action] == "create"
        return state_facts(event_id, deal, time, status, data, created, restored=_was_removed(previous))


def removal(record: dict[str, Any], time: datetime) -> tuple[datetime, dict[str, Any]] | None:
    """When a deal was deleted or archived, with the data that says so; None if it is neither.

    `time`: when the record was written.
    """
    if record.get("status") == "deleted" or record.get("is_deleted") is True or record.get("deleted") is True:
        return time, {}
    if record.get("is_archived") is not True:
        return None
    at = record.get("archive_time")
    return (utc_time_of(at, "data.archive_time") if at else time), {"reason": "archived"}


def closing_time(record: dict[str, Any], status: str) -> datetime | None:
    """When the deal was won or lost; None where the record does not say."""
    at = record.get(f"{status}_time") or record.get("close_time")
    return utc_time_of(at, f"{status}_time") if at else None


def _closed_before(
    record: dict[str, Any], removed: datetime, event_id: str, deal: str, data: dict[str, Any]
) -> list[Parsed]:
    """A deal that was archived or deleted may have been won or lost before, perhaps in the same change."""
    status = record.get("status")
    if status not in ("won", "lost"):
        return []
    return state_facts(event_id, deal, closing_time(record, status) or removed, status, data)


def _was_removed(previous: Any) -> bool:
    """Whether the values before the change say that the deal was deleted or archived."""
    flags = ("is_archived", "is_deleted", "deleted")
    return isinstance(previous, dict) and (
        previous.get("status") == "deleted" or any(previous.get(flag) is True for flag in flags)
    )


def status_of(value: Any) -> str:
    """Open, won or lost."""
    if value not in ("open", "won", "lost", None):
        raise InvalidField(f"data.status: {quoted(value)} is not known; open, won, lost or deleted is expected")
    return str(value or "open")


def _touched(document: dict[str, Any], meta: dict[str, Any], v1: bool, activity: Any) -> list[Parsed]:
    """An activity of a deal. Pipedrive does not say whether the buyer took part."""
    if not isinstance(activity, dict) or activity.get("deal_id") is None:
        return [Ignored("activity-of-no-deal")]
    deal = id_of(activity["deal_id"], "data.deal_id")
    kind = activity.get("type")
    data = {"activity": field_value("activity", kind, text_of, "data.type")} if kind else {}
    return [DealFact(EventType.TOUCHED, _event_id(document, meta, v1), deal, _time(meta), data)]


def _stage_facts(entity: str, meta: dict[str, Any], current: Any) -> list[Parsed]:
    """A stage or a pipeline was created or changed."""
    if str(meta.get("action")) in ("delete", "deleted"):
        return [Ignored(f"{entity}-deleted")]
    record, time = object_of(current, "data"), _time(meta)
    key = id_of(record.get("id"), "data.id")
    if entity == "pipeline":
        data = {"pipeline": key, **map_fields(record, {"name": ("pipeline_name", text_of)})}
        return [StageFact(time, data, incidental=False)]
    pipeline = id_of(record.get("pipeline_id"), "data.pipeline_id")
    return [StageFact(time, {"pipeline": pipeline, "stage": key, **map_fields(record, _STAGE)}, incidental=False)]


def _percent(value: Any, field: str) -> float:
    return probability_of(value, field, 100)


_STAGE: dict[str, tuple[str, FieldParser]] = {
    "name": ("name", text_of),
    "order_nr": ("order", order_of),
    "deal_probability": ("probability", _percent),
    "pipeline_name": ("pipeline_name", text_of),
}


def _time(meta: dict[str, Any]) -> datetime:
    """The most precise time sent. v2 sends ISO 8601, although its documentation says seconds."""
    if isinstance(micro := meta.get("timestamp_micro"), int):
        return time_of_ms(micro // 1000, "meta.timestamp_micro") + timedelta(microseconds=micro % 1000)
    stamp = meta.get("timestamp")
    if isinstance(stamp, str) and stamp.isascii() and stamp.isdigit():
        stamp = int(stamp[:20])
    if isinstance(stamp, int) and not isinstance(stamp, bool):
        return time_of_ms(stamp * 1000, "meta.timestamp")
    return utc_time_of(stamp, "meta.timestamp")


def _event_id(document: dict[str, Any], meta: dict[str, Any], v1: bool) -> str:
    if not v1:
        return id_of(meta.get("id"), "meta.id")
    stamp = meta.get("timestamp_micro") or meta.get("timestamp")
    event = document.get("event") or meta.get("action")
    return "/".join(str(part)[:80] for part in ("v1", meta.get("webhook_id"), event, meta.get("id"), stamp))
