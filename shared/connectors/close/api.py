"""Close's API: opportunities, their status changes, and the event log for deletions.

Source: Close's API documentation, "Opportunities", "Opportunity Status Changes", "Events" (30 days), "Pipelines",
"Pagination" and "Rate Limits" (429, Retry-After).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx

from shared.connectors.base.api_client import CrmRejected
from shared.connectors.base.crm_api import CrmApi, Page, Record, invalid_record, records_of
from shared.connectors.base.facts import DealFact, Parsed, state_facts
from shared.connectors.base.fields import InvalidField, id_of, object_of, text_of, utc_time_of
from shared.connectors.base.settings import ApiSettings
from shared.connectors.close.webhook import CloseApiSettings, opportunity_data, status_of
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_DEALS = "/api/v1/opportunity/"
_CHANGES = "/api/v1/activity/status_change/opportunity/"
_EVENTS = "/api/v1/event/"
_PAGE_SIZE, _EVENT_PAGE_SIZE = 100, 50
_EVENT_LOG_RETENTION = timedelta(days=30)


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
                # The id becomes part of the path: anything else would request another resource.
                if deal.isascii() and deal.replace("_", "").isalnum():
                    found[deal] = await self._parse(object_of(await self.client.get(f"{_DEALS}{deal}/"), "answer"))
            except CrmRejected as error:
                if error.status not in (404, 410):
                    raise
        return found

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        """Deletions first: deleted opportunities are not listed."""
        async for page in self._deleted(since):
            yield page
        async for records, _ in self._list("date_updated", since, 0):
            yield Page(await self._parse_all(records), len(records), reached=_time(records[-1], "date_updated"))

    async def all(self, since: datetime, cursor: str) -> AsyncIterator[Page]:
        """`cursor`: creation time of the last listed opportunity, and how many of that instant were listed."""
        created, _, skip = (cursor or "1970-01-01T00:00:00.000000Z/0").rpartition("/")
        async for records, next_cursor in self._list("date_created", utc_time_of(created, "cursor"), int(skip)):
            cursor = next_cursor
            relevant = [one for one in records if _status(one) == "open" or _time(one, "date_updated") >= since]
            yield Page(await self._parse_all(relevant), len(records), cursor=cursor)
        async for page in self._deleted(since):
            yield page._replace(cursor=cursor)

    async def _list(self, field: str, since: datetime, skip: int) -> AsyncIterator[tuple[list[Record], str]]:
        """Opportunities ordered by a time field, page by page, each with the cursor of the next page.

        Each page starts at the time that the previous one reached: an offset would skip records, because changed ones
        move to the end meanwhile. An offset is used only while one instant fills whole pages.
        """
        while True:
            document = await self.client.get(
                _DEALS, **{f"{field}__gte": _naive(since), "_order_by": field, "_skip": skip, "_limit": _PAGE_SIZE}
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
        """Deletions, from the event log as far back as Close keeps it."""
        since = max(since, datetime.now(UTC) - _EVENT_LOG_RETENTION)
        cursor: str | None = None
        while True:
            document = await self.client.get(
                _EVENTS,
                object_type="opportunity",
                action="deleted",
                date_updated__gte=_naive(since),
                _limit=_EVENT_PAGE_SIZE,
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

    async def _parse_all(self, records: Sequence[Record]) -> list[Parsed]:
        return [fact for record in records for fact in await self._parse(record)]

    async def _parse(self, record: Record) -> list[Parsed]:
        """The facts of one opportunity and its status changes."""
        try:
            deal = id_of(record.get("id"), "id")
            unchanged = record.get("date_created") == record.get("date_updated")
            changes = [] if unchanged else [change async for change in self._changes(deal)]
            changes.sort(key=lambda one: (_time(one, "date_created"), id_of(one.get("id"), "id")))
            return _history(record, deal, changes)
        except InvalidField as error:
            return [invalid_record(record, error)]

    async def _changes(self, deal: str) -> AsyncIterator[Record]:
        skip = 0
        while True:
            document = await self.client.get(_CHANGES, opportunity_id=deal, _skip=skip, _limit=_PAGE_SIZE)
            changes = records_of(document, "data")
            for change in changes:
                yield change
            skip += len(changes)
            if not changes or not document.get("has_more"):
                return


def _history(record: Record, deal: str, changes: Sequence[Record]) -> list[Parsed]:
    """Creation in the first status, each change, and the current state as of the last change."""
    created, updated = _time(record, "date_created"), _time(record, "date_updated")
    data = opportunity_data(record)
    current: dict[str, Any] = {field: data[field] for field in ("pipeline", "stage") if field in data}
    first = _position(changes[0], "old") if changes else current
    status = status_of(changes[0].get("old_status_type"), "old_status_type") if changes else _status(record)
    facts = state_facts(f"api/{deal}/created", deal, created, status, first, created=True)
    for change in changes:
        event_id = f"api/{deal}/{id_of(change.get('id'), 'id')}"
        status = status_of(change.get("new_status_type"), "new_status_type")
        facts += state_facts(event_id, deal, _time(change, "date_created"), status, _position(change, "new"))
    return facts + state_facts(f"api/{deal}/state/{iso(updated)}", deal, updated, _status(record), data)


def _position(change: Record, which: str) -> dict[str, Any]:
    """Stage, and pipeline if present, before (`old`) or after (`new`) a change."""
    position = {"stage": id_of(change.get(f"{which}_status_id"), f"{which}_status_id")}
    if change.get(f"{which}_pipeline_id") is not None:
        position["pipeline"] = id_of(change[f"{which}_pipeline_id"], f"{which}_pipeline_id")
    return position


def _deletion(event: Record) -> Parsed:
    try:
        deal = id_of(event.get("object_id"), "object_id")
        time = _time(event, "date_updated" if event.get("date_updated") else "date_created")
        return DealFact(EventType.DELETED, f"api/{deal}/deleted/{iso(time)}", deal, time, {})
    except InvalidField as error:
        return invalid_record(event, error)


def _status(record: Record) -> str:
    return status_of(record.get("status_type"), "status_type")


def _time(record: Record, field: str) -> datetime:
    return utc_time_of(record.get(field), field)


def _naive(moment: datetime) -> str:
    """UTC without an offset, as Close expects it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
