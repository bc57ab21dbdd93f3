"""Pipedrive: webhooks v2 and v1, whole deals with what they were before; HTTP Basic, no signature.

Source: Pipedrive's guides "Webhooks v2" and "Webhooks v1"; docs/sources/pipedrive.md says what to click.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.api_settings import ApiSettings, ApiSourceSettings
from shared.connectors.base.json_source import (
    JsonSource,
    Read,
    day_of,
    fields_of,
    instant,
    named,
    order_of,
    share_of,
    standing,
    taken,
    verify_basic,
    zoneless,
)
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    Request,
    StageFact,
    amount_of,
    currency_of,
    id_of,
    moment_of_ms,
    shown,
    text_of,
)
from shared.contracts.events import EventType

FIELDS = {
    "pipeline_id": ("pipeline", id_of),
    "stage_id": ("stage", id_of),
    "title": ("name", text_of),
    "value": ("amount", amount_of),
    "currency": ("currency", currency_of),
    "expected_close_date": ("expected_close", day_of),
    "lost_reason": ("reason", text_of),
}
_DONE = {"create": "create", "added": "create", "change": "change", "updated": "change", "merged": "change"}


class PipedriveApiSettings(ApiSettings):
    """`token`: the API token of an administrator; `url`: https://COMPANY.pipedrive.com."""

    per_second: float = Field(2, gt=0, le=1000, description="requests a second, with a burst of as many")


class PipedriveSettings(ApiSourceSettings):
    """`secrets` are `user:password`, as set on the webhook (HTTP auth)."""

    api: PipedriveApiSettings | None = Field(None, description="the API, for the enricher; without it nothing is asked")


class PipedriveWebhook(JsonSource):
    kind: ClassVar[str] = "pipedrive"
    clicks: ClassVar[str] = (
        "Tools and apps > Webhooks > Create: event action *, object deal (others for activity, stage and pipeline), "
        "version 2, HTTP auth user and password as in the secret user:password."
    )
    settings_type = PipedriveSettings

    def verify(self, request: Request) -> None:
        verify_basic(request, self.settings.secrets)

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = fields_of(part, "body")
        meta = fields_of(document.get("meta"), "meta")
        first = document.get("v") == 1 or "version" not in meta
        entity = meta.get("object" if first else "entity")
        now, before = document.get("current" if first else "data"), document.get("previous")
        time, number = _time(meta), _number(document, meta, first)
        if entity == "activity":
            return _touched(number, time, now)
        if entity in ("stage", "pipeline"):
            return _described(str(entity), meta, time, now)
        if named(entity, "meta.object" if first else "meta.entity") != "deal":
            return [Ignored("not-a-deal")]
        deal = id_of(meta.get("id" if first else "entity_id"), "meta.id" if first else "meta.entity_id")
        return self._deal(meta, number, deal, time, now, before)

    def _deal(
        self, meta: dict[str, Any], number: str, deal: str, time: datetime, now: Any, before: Any
    ) -> Iterable[Parsed]:
        action = str(meta.get("action"))
        if action in ("delete", "deleted"):
            if (into := meta.get("merged_to_id")) is not None:
                into_deal = {"into": f"{self.name}:{id_of(into, 'meta.merged_to_id')}"}
                return [DealFact(EventType.MERGED, number, deal, time, into_deal)]
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        if action not in _DONE:
            raise InvalidField(f"meta.action: {shown(action)} is not known; create, change or delete is expected")
        data = fields_of(now, "data")
        told = taken(data, FIELDS)
        if isinstance(since := data.get("stage_change_time") or data.get("add_time"), str):
            told["entered_at"] = instant(since, "stage_change_time")
        if isinstance(host := meta.get("host"), str) and host.endswith(".pipedrive.com"):
            told["url"] = text_of(f"https://{host}/deal/{deal}", "meta.host")
        status = status_of(data.get("status"))
        if status is None:
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        return standing(number, deal, time, status, told, created=_DONE[action] == "create")


def status_of(value: Any) -> str | None:
    """Open, won or lost; None: deleted."""
    if value == "deleted":
        return None
    if value not in ("open", "won", "lost", None):
        raise InvalidField(f"data.status: {shown(value)} is not known; open, won, lost or deleted is expected")
    return value or "open"


def _touched(number: str, time: datetime, activity: Any) -> list[Parsed]:
    """An activity of a deal. Whether the buyer took part is not told."""
    if not isinstance(activity, dict) or activity.get("deal_id") is None:
        return [Ignored("activity-of-no-deal")]
    deal = id_of(activity["deal_id"], "data.deal_id")
    kind = activity.get("type")
    return [DealFact(EventType.TOUCHED, number, deal, time, {"activity": text_of(kind, "data.type")} if kind else {})]


def _described(entity: str, meta: dict[str, Any], time: datetime, now: Any) -> list[Parsed]:
    """A stage or a pipeline was made or changed."""
    if str(meta.get("action")) in ("delete", "deleted"):
        return [Ignored(f"{entity}-deleted")]
    data = fields_of(now, "data")
    number = id_of(data.get("id"), "data.id")
    if entity == "pipeline":
        return [StageFact(time, {"pipeline": number, **taken(data, {"name": ("pipeline_name", text_of)})}, False)]
    pipeline = id_of(data.get("pipeline_id"), "data.pipeline_id")
    return [StageFact(time, {"pipeline": pipeline, "stage": number, **taken(data, _STAGE)}, False)]


def _percent(value: Any, field: str) -> float:
    return share_of(value, field, 100)


_STAGE: dict[str, tuple[str, Read]] = {
    "name": ("name", text_of),
    "order_nr": ("order", order_of),
    "deal_probability": ("probability", _percent),
    "pipeline_name": ("pipeline_name", text_of),
}


def _time(meta: dict[str, Any]) -> datetime:
    """Milliseconds or microseconds where they are told; v2 writes ISO 8601, its documentation says seconds."""
    if isinstance(micro := meta.get("timestamp_micro"), int):
        return moment_of_ms(micro // 1000, "meta.timestamp_micro") + timedelta(microseconds=micro % 1000)
    stamp = meta.get("timestamp")
    if isinstance(stamp, str) and stamp.isascii() and stamp.isdigit():
        stamp = int(stamp[:20])
    if isinstance(stamp, int) and not isinstance(stamp, bool):
        return moment_of_ms(stamp * 1000, "meta.timestamp")
    return zoneless(stamp, "meta.timestamp")


def _number(document: dict[str, Any], meta: dict[str, Any], first: bool) -> str:
    if not first:
        return id_of(meta.get("id"), "meta.id")
    stamp = meta.get("timestamp_micro") or meta.get("timestamp")
    event = document.get("event") or meta.get("action")
    return "/".join(str(part)[:80] for part in ("v1", meta.get("webhook_id"), event, meta.get("id"), stamp))
