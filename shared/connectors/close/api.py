"""Close: opportunities, their status changes, and the event log for what was deleted.

Source: Close's API documentation, "Opportunities", "Opportunity Status Changes", "Events" (30 days), "Pipelines",
"Pagination" and "Rate Limits" (429, Retry-After).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx

from shared.connectors.base.api_client import CrmRejected
from shared.connectors.base.api_settings import ApiSettings
from shared.connectors.base.crm_api import CrmApi, Page, Record, fault_of, records_of
from shared.connectors.base.json_source import fields_of, standing, zoneless
from shared.connectors.base.source import DealFact, InvalidField, Parsed, id_of, text_of
from shared.connectors.close.webhook import CloseApiSettings, status_of, told_of
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_DEALS = "/api/v1/opportunity/"
_CHANGES = "/api/v1/activity/status_change/opportunity/"
_EVENTS = "/api/v1/event/"
_MOST, _MOST_EVENTS = 100, 50
_LOG_KEPT = timedelta(days=30)


class CloseApi(CrmApi):
    kind: ClassVar[str] = "close"
    settings_type = CloseApiSettings

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return httpx.BasicAuth(token, "")

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        found: dict[str, list[Parsed]] = {}
        for deal in deals:
            try:
                # An id is part of the path: what is none would ask for something else.
                if deal.isascii() and deal.replace("_", "").isalnum():
                    found[deal] = await self._of(fields_of(await self.client.get(f"{_DEALS}{deal}/"), "answer"))
            except CrmRejected as error:
                if error.status not in (404, 410):
                    raise
        return found

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        """Deletions first: what was deleted is not listed."""
        async for page in self._deleted(since):
            yield page
        async for records, _ in self._listed("date_updated", since, 0):
            yield Page(await self._told(records), len(records), reached=_time(records[-1], "date_updated"))

    async def all(self, since: datetime, place: str) -> AsyncIterator[Page]:
        """`place`: the creation of the last opportunity, and how many of that instant were listed."""
        made, _, skip = (place or "1970-01-01T00:00:00.000000Z/0").rpartition("/")
        async for records, place in self._listed("date_created", zoneless(made, "place"), int(skip)):
            mine = [one for one in records if _status(one) == "open" or _time(one, "date_updated") >= since]
            yield Page(await self._told(mine), len(records), place=place)
        async for page in self._deleted(since):
            yield page._replace(place=place)

    async def _listed(self, field: str, since: datetime, skip: int) -> AsyncIterator[tuple[list[Record], str]]:
        """Opportunities in order of a time, with the place of the next page.

        Each page begins at the time that the last one reached: to skip over what moves away meanwhile would leave some
        out. Only where one instant fills a page it is skipped over.
        """
        while True:
            document = await self.client.get(
                _DEALS, **{f"{field}__gte": _naive(since), "_order_by": field, "_skip": skip, "_limit": _MOST}
            )
            records = records_of(document, "data")
            if not records:
                return
            last, more = _time(records[-1], field), document.get("has_more")
            before = [one for one in records if _time(one, field) < last]
            ahead = bool(more and before)
            skip = 0 if ahead else (skip if last == since else 0) + len(records) - len(before)
            since = last
            yield before if ahead else records, f"{iso(since)}/{skip}"
            if not more:
                return

    async def _deleted(self, since: datetime) -> AsyncIterator[Page]:
        """From the event log, as far back as it is kept."""
        since = max(since, datetime.now(UTC) - _LOG_KEPT)
        cursor: str | None = None
        while True:
            document = await self.client.get(
                _EVENTS,
                object_type="opportunity",
                action="deleted",
                date_updated__gte=_naive(since),
                _limit=_MOST_EVENTS,
                _cursor=cursor,
            )
            events = records_of(document, "data")
            yield Page([_deletion(event) for event in events], len(events))
            cursor = document.get("cursor_next")
            if not cursor:
                return

    async def stages(self) -> list[StageData]:
        found: list[StageData] = []
        for pipeline in records_of(await self.client.get("/api/v1/pipeline/"), "data"):
            for order, status in enumerate(records_of(pipeline, "statuses")):
                found.append(
                    StageData(
                        source=self.source.name,
                        pipeline=id_of(pipeline.get("id"), "id"),
                        pipeline_name=text_of(pipeline.get("name"), "name"),
                        stage=id_of(status.get("id"), "id"),
                        name=text_of(status.get("label"), "label"),
                        order=order,
                        outcome=StageOutcome(status_of(status.get("type"), "type")),
                    )
                )
        return found

    async def _told(self, records: Sequence[Record]) -> list[Parsed]:
        return [one for record in records for one in await self._of(record)]

    async def _of(self, record: Record) -> list[Parsed]:
        """What one opportunity says, with its status changes."""
        try:
            deal = id_of(record.get("id"), "id")
            never = record.get("date_created") == record.get("date_updated")
            changes = [] if never else [change async for change in self._changes(deal)]
            changes.sort(key=lambda one: (_time(one, "date_created"), id_of(one.get("id"), "id")))
            return _story(record, deal, changes)
        except InvalidField as error:
            return [fault_of(record, error)]

    async def _changes(self, deal: str) -> AsyncIterator[Record]:
        skip = 0
        while True:
            document = await self.client.get(_CHANGES, opportunity_id=deal, _skip=skip, _limit=_MOST)
            changes = records_of(document, "data")
            for change in changes:
                yield change
            skip += len(changes)
            if not changes or not document.get("has_more"):
                return


def _story(record: Record, deal: str, changes: Sequence[Record]) -> list[Parsed]:
    """Creation in the first status, each change, and how the opportunity stands as of when it last changed."""
    made, time = _time(record, "date_created"), _time(record, "date_updated")
    now = told_of(record)
    present: dict[str, Any] = {field: now[field] for field in ("pipeline", "stage") if field in now}
    first = _place(changes[0], "old") if changes else present
    begun = status_of(changes[0].get("old_status_type"), "old_status_type") if changes else _status(record)
    said = standing(f"api/{deal}/created", deal, made, begun, first, created=True)
    for change in changes:
        number = f"api/{deal}/{id_of(change.get('id'), 'id')}"
        status = status_of(change.get("new_status_type"), "new_status_type")
        said += standing(number, deal, _time(change, "date_created"), status, _place(change, "new"))
    return said + standing(f"api/{deal}/state/{iso(time)}", deal, time, _status(record), now)


def _place(change: Record, which: str) -> dict[str, Any]:
    """The status before or after a change, and its pipeline where that is told."""
    place = {"stage": id_of(change.get(f"{which}_status_id"), f"{which}_status_id")}
    if change.get(f"{which}_pipeline_id") is not None:
        place["pipeline"] = id_of(change[f"{which}_pipeline_id"], f"{which}_pipeline_id")
    return place


def _deletion(event: Record) -> Parsed:
    try:
        deal = id_of(event.get("object_id"), "object_id")
        time = _time(event, "date_updated" if event.get("date_updated") else "date_created")
        return DealFact(EventType.DELETED, f"api/{deal}/deleted/{iso(time)}", deal, time, {})
    except InvalidField as error:
        return fault_of(event, error)


def _status(record: Record) -> str:
    return status_of(record.get("status_type"), "status_type")


def _time(record: Record, field: str) -> datetime:
    return zoneless(record.get(field), field)


def _naive(moment: datetime) -> str:
    """UTC without saying so, as Close writes it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
