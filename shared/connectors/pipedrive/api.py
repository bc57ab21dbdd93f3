"""Pipedrive's API: the current state of deals, and the change log ("flow") of each.

Source: Pipedrive's API reference, v2 "Deals" (cursor, updated_since, status deleted), "Stages", "Pipelines", v1
"Deals: list updates about a deal" (flow), and "Rate limiting" (429). Times are in whole seconds, UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import httpx

from shared.connectors.base.api_client import CrmRejected
from shared.connectors.base.crm_api import CrmApi, Page, Record, invalid_record, records_of
from shared.connectors.base.facts import DealFact, Parsed, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    date_of,
    field_value,
    id_of,
    map_fields,
    object_of,
    text_of,
    utc_time_of,
)
from shared.connectors.base.settings import ApiSettings
from shared.connectors.pipedrive.webhook import FIELDS, PipedriveApiSettings, closing_time, removal, status_of
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_DEALS, _ARCHIVED = "/api/v2/deals", "/api/v2/deals/archived"
_ARCHIVED_CURSOR = "archived/"
_PAGE_SIZE = 100
_STATUSES = "open,won,lost,deleted"
# For a deal that does not exist, or is hidden from the token's owner.
_NOT_VISIBLE = (403, 404, 410)


class Token(httpx.Auth):
    """`x-api-token`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["x-api-token"] = self._token
        yield request


class PipedriveApi(CrmApi):
    kind: ClassVar[str] = "pipedrive"
    settings_type = PipedriveApiSettings
    batch_size: ClassVar[int] = 5
    # The pipeline of each stage read so far.
    _pipelines: dict[str, str] | None = None

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return Token(token)

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        found: dict[str, list[Parsed]] = {}
        for deal in deals:
            try:
                if deal.isascii() and deal.isdigit():
                    document = object_of(await self.client.get(f"{_DEALS}/{deal}"), "answer")
                    found[deal] = await self._parse(object_of(document.get("data"), "data"))
            except CrmRejected as error:
                if error.status not in _NOT_VISIBLE:
                    raise
        return found

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        stamp = iso(since)[:19] + "Z"
        # Archived deals first: `reached` must hold for both lists.
        params = {"updated_since": stamp, "sort_by": "update_time", "sort_direction": "asc"}
        async for records, _ in self._list(_ARCHIVED, "", **params):
            if records:
                yield Page(await self._parse_all(records), len(records))
        async for records, _ in self._list(_DEALS, "", **params):
            if records:
                yield Page(await self._parse_all(records), len(records), reached=_updated(records[-1]))

    async def all(self, since: datetime, cursor: str) -> AsyncIterator[Page]:
        """`cursor` is Pipedrive's own; of the list of archived deals it begins with `archived/`."""
        if not cursor.startswith(_ARCHIVED_CURSOR):
            async for records, next_cursor in self._list(_DEALS, cursor, sort_by="id", sort_direction="asc"):
                relevant = [record for record in records if _is_open(record) or _updated(record) >= since]
                yield Page(await self._parse_all(relevant), len(records), cursor=next_cursor or _ARCHIVED_CURSOR)
            cursor = ""
        cursor = cursor.removeprefix(_ARCHIVED_CURSOR)
        async for records, next_cursor in self._list(_ARCHIVED, cursor, sort_by="id", sort_direction="asc"):
            archived = [record for record in records if _updated(record) >= since]
            yield Page(await self._parse_all(archived), len(records), cursor=f"{_ARCHIVED_CURSOR}{next_cursor}")

    async def _list(self, path: str, cursor: str, **params: str) -> AsyncIterator[tuple[list[Record], str]]:
        """Deals page by page, each with the cursor of the next page; an empty cursor marks the last page."""
        while True:
            document = await self.client.get(path, status=_STATUSES, limit=_PAGE_SIZE, cursor=cursor or None, **params)
            paging = object_of(object_of(document, "answer").get("additional_data") or {}, "additional_data")
            cursor = str(paging.get("next_cursor") or "")
            yield records_of(document, "data"), cursor
            if not cursor:
                return

    async def stages(self) -> list[StageData]:
        pipelines = {id_of(p.get("id"), "id"): p for p in await self._list_all("/api/v2/pipelines")}
        found: list[StageData] = []
        for stage in await self._list_all("/api/v2/stages"):
            pipeline, probability = id_of(stage.get("pipeline_id"), "pipeline_id"), stage.get("deal_probability")
            data = {
                "source": self.source.name,
                "pipeline": pipeline,
                "stage": id_of(stage.get("id"), "id"),
                "name": text_of(stage.get("name"), "name"),
                "order": stage.get("order_nr"),
                "outcome": StageOutcome.OPEN,
            }
            if pipeline in pipelines:
                data["pipeline_name"] = text_of(pipelines[pipeline].get("name"), "name")
            if isinstance(probability, int | float):
                data["probability"] = probability / 100
            found.append(StageData.model_validate(data))
        return found

    async def _list_all(self, path: str) -> list[Record]:
        found: list[Record] = []
        cursor: str | None = None
        while True:
            document = object_of(await self.client.get(path, limit=500, cursor=cursor), "answer")
            found += records_of(document, "data")
            cursor = (document.get("additional_data") or {}).get("next_cursor")
            if not cursor:
                return found

    async def _parse_all(self, records: Sequence[Record]) -> list[Parsed]:
        return [fact for record in records for fact in await self._parse(record)]

    async def _parse(self, record: Record) -> list[Parsed]:
        """The facts of one deal and its flow."""
        try:
            deal = id_of(record.get("id"), "id")
            changes = await self._changes(deal)
            stages = {change.new for change in changes or () if change.field == "stage_id"}
            pipelines = await self._pipelines_by_stage({_stage(record), *stages})
            return _DealHistory(record, deal, pipelines, _link(self.api.url, deal)).facts(changes)
        except InvalidField as error:
            return [invalid_record(record, error)]

    async def _changes(self, deal: str) -> list[_Change] | None:
        """A deal's flow in order; None if it is not visible."""
        try:
            return sorted([change async for change in self._flow(deal)], key=lambda change: (change.time, change.id))
        except CrmRejected as error:
            if error.status not in _NOT_VISIBLE:
                raise
            return None

    async def _flow(self, deal: str) -> AsyncIterator[_Change]:
        start: int | None = 0
        while start is not None:
            document = await self.client.get(f"/api/v1/deals/{deal}/flow", items="dealChange", start=start, limit=500)
            for item in records_of(document, "data"):
                if item.get("object") == "dealChange":
                    yield _Change(object_of(item.get("data"), "data"))
            paging = (object_of(document, "answer").get("additional_data") or {}).get("pagination") or {}
            start = paging.get("next_start") if paging.get("more_items_in_collection") else None

    async def _pipelines_by_stage(self, stages: set[str | None]) -> dict[str, str]:
        """The pipeline of each stage. Read once, and again when a deal is in an unknown stage."""
        if self._pipelines is None or not stages <= {None, *self._pipelines}:
            records = await self._list_all("/api/v2/stages")
            known = {id_of(one.get("id"), "id"): id_of(one.get("pipeline_id"), "pipeline_id") for one in records}
            # Remember removed stages too, so that their deals do not trigger a request each time.
            removed = dict.fromkeys((s for s in stages if s), "") | (self._pipelines or {})
            self._pipelines = removed | known
        return self._pipelines


class _Change:
    """One change of one field, from the flow."""

    def __init__(self, data: Record) -> None:
        self.id = id_of(data.get("id"), "flow.id").zfill(20)
        self.time = utc_time_of(data.get("log_time"), "flow.log_time")
        self.field = str(data.get("field_key"))
        self.old, self.new = _value(data.get("old_value")), _value(data.get("new_value"))


class _DealHistory:
    """Replays a deal's changes in order, from its creation on."""

    def __init__(self, record: Record, deal: str, pipelines: dict[str, str], link: dict[str, str]) -> None:
        self._record, self._deal, self._pipelines, self._link = record, deal, pipelines, link
        self._stage: str | None = None
        self._status = "open"

    def facts(self, changes: Sequence[_Change] | None) -> list[Parsed]:
        """Creation, moves, won, lost, reopened, new close dates, and the current state; None: no flow is visible."""
        self._stage = self._first_stage(changes)
        created = utc_time_of(self._record.get("add_time"), "add_time")
        data = self._position() | self._link
        facts: list[Parsed] = [DealFact(EventType.CREATED, f"api/{self._deal}/created", self._deal, created, data)]
        for change in changes or ():
            facts += self._replay(change)
        return facts + self._current_state()

    def _first_stage(self, changes: Sequence[_Change] | None) -> str | None:
        """The stage in which the deal was created; None if it has moved and no flow says from where."""
        if moves := [one for one in changes or () if one.field == "stage_id"]:
            return moves[0].old
        stayed = self._record.get("stage_change_time") in (None, "", self._record.get("add_time"))
        return _stage(self._record) if stayed or changes is not None else None

    def _position(self) -> dict[str, Any]:
        """Stage and pipeline, without those that are unknown."""
        position = {"stage": self._stage, "pipeline": self._pipelines.get(self._stage or "")}
        return {field: value for field, value in position.items() if value}

    def _replay(self, change: _Change) -> list[Parsed]:
        event_id, restored = f"api/{self._deal}/flow/{change.id}", False
        if change.field == "stage_id":
            self._stage = change.new
        elif change.field == "status":
            if change.new == "deleted":
                return [DealFact(EventType.DELETED, event_id, self._deal, change.time, {})]
            restored, self._status = change.old == "deleted", status_of(change.new)
        elif change.field == "expected_close_date":
            close = {"expected_close": field_value("expected_close", change.new, date_of, "flow.new_value")}
            return [DealFact(EventType.CHANGED, event_id, self._deal, change.time, close)]
        else:
            return []
        # Moving a closed deal to another stage does not reopen it.
        if change.field == "stage_id" and self._status != "open":
            return []
        return state_facts(event_id, self._deal, change.time, self._status, self._position(), restored=restored)

    def _current_state(self) -> list[Parsed]:
        """The state at the last change; covers what the flow left out."""
        time = _updated(self._record)
        event_id = f"api/{self._deal}/state/{iso(time)}"
        removed, told = removal(self._record, time), self._record.get("status")
        status = status_of("open" if told == "deleted" else told)
        if removed:
            gone = DealFact(EventType.DELETED, f"{event_id}/removed", self._deal, *removed)
            return [*self._missing_close(status), gone]
        data = map_fields(self._record, FIELDS)
        since = self._record.get("stage_change_time")
        facts: list[Parsed] = []
        if status == "open" and since:
            entered = utc_time_of(since, "stage_change_time")
            position = {f: data[f] for f in ("stage", "pipeline") if f in data} | {"entered_at": iso(entered)}
            move_id = f"api/{self._deal}/stage/{_stage(self._record)}/{iso(entered)}"
            facts.append(DealFact(EventType.MOVED, move_id, self._deal, entered, position))
        facts += self._missing_close(status)
        if status == "open" and data.get("stage"):
            # It may have been deleted or archived, and restored, since its last move.
            position = {field: data[field] for field in ("stage", "pipeline") if data.get(field)}
            facts.append(DealFact(EventType.REOPENED, f"{event_id}/present", self._deal, time, position))
        return facts + state_facts(event_id, self._deal, time, status, data | self._link)

    def _missing_close(self, status: str) -> list[Parsed]:
        """A close that the flow left out, at its own time: the deal may have changed since."""
        closed = None if status in ("open", self._status) else closing_time(self._record, status)
        if closed is None:
            return []
        return state_facts(f"api/{self._deal}/closed/{iso(closed)}", self._deal, closed, status, self._position())


def _value(value: Any) -> str | None:
    return None if value in (None, "") else str(value)[:200]


def _stage(record: Record) -> str:
    return id_of(record.get("stage_id"), "stage_id")


def _updated(record: Record) -> datetime:
    return utc_time_of(record.get("update_time") or record.get("add_time"), "update_time")


def _is_open(record: Record) -> bool:
    return record.get("is_deleted") is not True and record.get("status") == "open"


def _link(url: str, deal: str) -> dict[str, str]:
    """The deal's page; none on the host that serves all companies."""
    host = httpx.URL(url).host
    has_pages = host.endswith(".pipedrive.com") and host != "api.pipedrive.com"
    return {"url": f"https://{host}/deal/{deal}"} if has_pages else {}
