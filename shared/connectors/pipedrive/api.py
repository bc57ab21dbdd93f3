"""Pipedrive: deals as they stand, and each deal's own flow of changes.

Source: Pipedrive's API reference, v2 "Deals" (cursor, updated_since, status deleted), "Stages", "Pipelines", v1
"Deals: list updates about a deal" (flow), and "Rate limiting" (429). Times are in whole seconds, UTC.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any, ClassVar

import httpx

from shared.connectors.base.api_client import CrmRejected
from shared.connectors.base.api_settings import ApiSettings
from shared.connectors.base.crm_api import CrmApi, Page, Record, fault_of, records_of
from shared.connectors.base.json_source import day_of, fields_of, standing, taken, zoneless
from shared.connectors.base.source import DealFact, InvalidField, Parsed, id_of, text_of
from shared.connectors.pipedrive.webhook import FIELDS, PipedriveApiSettings, status_of
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_DEALS = "/api/v2/deals"
_MOST = 100
_STATUSES = "open,won,lost,deleted"
# What Pipedrive answers for a deal that is not there, or not shown to the owner of the token.
_NOT_SHOWN = (403, 404, 410)


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
    at_once: ClassVar[int] = 5
    _pipelines: dict[str, str] | None = None

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return Token(token)

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        found: dict[str, list[Parsed]] = {}
        for deal in deals:
            try:
                if deal.isascii() and deal.isdigit():
                    document = fields_of(await self.client.get(f"{_DEALS}/{deal}"), "answer")
                    found[deal] = await self._of(fields_of(document.get("data"), "data"))
            except CrmRejected as error:
                if error.status not in _NOT_SHOWN:
                    raise
        return found

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        stamp = iso(since)[:19] + "Z"
        async for records, _ in self._listed("", updated_since=stamp, sort_by="update_time", sort_direction="asc"):
            if records:
                yield Page(await self._told(records), len(records), reached=_updated(records[-1]))

    async def all(self, since: datetime, place: str) -> AsyncIterator[Page]:
        """`place`: Pipedrive's cursor."""
        async for records, cursor in self._listed(place, sort_by="id", sort_direction="asc"):
            mine = [one for one in records if _status(one) == "open" or _updated(one) >= since]
            yield Page(await self._told(mine), len(records), place=cursor)

    async def _listed(self, cursor: str, **asked: str) -> AsyncIterator[tuple[list[Record], str]]:
        """Deals page by page, with the cursor of the next; empty: this was the last."""
        while True:
            document = await self.client.get(_DEALS, status=_STATUSES, limit=_MOST, cursor=cursor or None, **asked)
            paging = fields_of(fields_of(document, "answer").get("additional_data") or {}, "additional_data")
            cursor = str(paging.get("next_cursor") or "")
            yield records_of(document, "data"), cursor
            if not cursor:
                return

    async def stages(self) -> list[StageData]:
        names = {id_of(p.get("id"), "id"): p for p in await self._every("/api/v2/pipelines")}
        found: list[StageData] = []
        for stage in await self._every("/api/v2/stages"):
            pipeline, chance = id_of(stage.get("pipeline_id"), "pipeline_id"), stage.get("deal_probability")
            said = {
                "source": self.source.name,
                "pipeline": pipeline,
                "stage": id_of(stage.get("id"), "id"),
                "name": text_of(stage.get("name"), "name"),
                "order": stage.get("order_nr"),
                "outcome": StageOutcome.OPEN,
            }
            if pipeline in names:
                said["pipeline_name"] = text_of(names[pipeline].get("name"), "name")
            if isinstance(chance, int | float):
                said["probability"] = chance / 100
            found.append(StageData.model_validate(said))
        return found

    async def _every(self, path: str) -> list[Record]:
        found: list[Record] = []
        cursor: str | None = None
        while True:
            document = fields_of(await self.client.get(path, limit=500, cursor=cursor), "answer")
            found += records_of(document, "data")
            cursor = (document.get("additional_data") or {}).get("next_cursor")
            if not cursor:
                return found

    async def _told(self, records: Sequence[Record]) -> list[Parsed]:
        return [one for record in records for one in await self._of(record)]

    async def _of(self, record: Record) -> list[Parsed]:
        """What one deal says, with its flow."""
        try:
            deal = id_of(record.get("id"), "id")
            changes = await self._changes(deal)
            stages = {one.new for one in changes or () if one.field == "stage_id"}
            pipelines = await self._pipelines_by_stage({_stage(record), *stages})
            return _Story(record, deal, pipelines, _link(self.api.url, deal)).told(changes)
        except InvalidField as error:
            return [fault_of(record, error)]

    async def _changes(self, deal: str) -> list[_Change] | None:
        """A deal's flow in order; None: it is not shown. Then the deal is told without it."""
        try:
            return sorted([one async for one in self._flow(deal)], key=lambda one: (one.time, one.number))
        except CrmRejected as error:
            if error.status not in _NOT_SHOWN:
                raise
            return None

    async def _flow(self, deal: str) -> AsyncIterator[_Change]:
        start: int | None = 0
        while start is not None:
            document = await self.client.get(f"/api/v1/deals/{deal}/flow", items="dealChange", start=start, limit=500)
            for item in records_of(document, "data"):
                if item.get("object") == "dealChange":
                    yield _Change(fields_of(item.get("data"), "data"))
            paging = (fields_of(document, "answer").get("additional_data") or {}).get("pagination") or {}
            start = paging.get("next_start") if paging.get("more_items_in_collection") else None

    async def _pipelines_by_stage(self, stages: set[str | None]) -> dict[str, str]:
        """The pipeline of each stage. Asked for once, and again when a deal is in a stage that is new."""
        if self._pipelines is None or not stages <= {None, *self._pipelines}:
            told = await self._every("/api/v2/stages")
            known = {id_of(one.get("id"), "id"): id_of(one.get("pipeline_id"), "pipeline_id") for one in told}
            # A stage that was removed stays unknown: it is not asked for with every deal.
            gone = dict.fromkeys((s for s in stages if s), "") | (self._pipelines or {})
            self._pipelines = gone | known
        return self._pipelines


class _Change:
    """One change of one field, as the flow tells it."""

    def __init__(self, data: Record) -> None:
        self.number = id_of(data.get("id"), "flow.id").zfill(20)
        self.time = zoneless(data.get("log_time"), "flow.log_time")
        self.field = str(data.get("field_key"))
        self.old, self.new = _value(data.get("old_value")), _value(data.get("new_value"))


class _Story:
    """A deal's changes in order, from its creation on."""

    def __init__(self, record: Record, deal: str, pipelines: dict[str, str], link: dict[str, str]) -> None:
        self._record, self._deal, self._pipelines, self._link = record, deal, pipelines, link
        self._stage: str | None = None
        self._status = "open"

    def told(self, changes: Sequence[_Change] | None) -> list[Parsed]:
        """Creation, moves, won, lost, opened again, other dates of close, and how the deal stands now."""
        self._stage = self._first(changes)
        made = zoneless(self._record.get("add_time"), "add_time")
        said: list[Parsed] = [
            DealFact(EventType.CREATED, f"api/{self._deal}/created", self._deal, made, self._place() | self._link)
        ]
        for change in changes or ():
            said += self._one(change)
        return said + self._present()

    def _first(self, changes: Sequence[_Change] | None) -> str | None:
        """The stage in which it was created; None: it has moved, and without a flow nobody tells from where."""
        if moves := [one for one in changes or () if one.field == "stage_id"]:
            return moves[0].old
        stayed = self._record.get("stage_change_time") in (None, "", self._record.get("add_time"))
        return _stage(self._record) if stayed or changes is not None else None

    def _place(self) -> dict[str, Any]:
        """Stage and pipeline; a pipeline that cannot be told is left out."""
        place = {"stage": self._stage, "pipeline": self._pipelines.get(self._stage or "")}
        return {field: value for field, value in place.items() if value}

    def _one(self, change: _Change) -> list[Parsed]:
        number = f"api/{self._deal}/flow/{change.number}"
        if change.field == "stage_id":
            self._stage = change.new
        elif change.field == "status":
            if change.new == "deleted":
                return [DealFact(EventType.DELETED, number, self._deal, change.time, {})]
            self._status = status_of(change.new) or "open"
        elif change.field == "expected_close_date":
            close = {"expected_close": change.new and day_of(change.new, "flow.new_value")}
            return [DealFact(EventType.CHANGED, number, self._deal, change.time, close)]
        else:
            return []
        # A closed deal that is put into another stage stays closed.
        if change.field == "stage_id" and self._status != "open":
            return []
        return standing(number, self._deal, change.time, self._status, self._place())

    def _present(self) -> list[Parsed]:
        """How the deal stands, as of when it last changed: whatever the flow left out is mended."""
        time, status = _updated(self._record), _status(self._record)
        number = f"api/{self._deal}/state/{iso(time)}"
        if status is None:
            return [DealFact(EventType.DELETED, number, self._deal, time, {})]
        data = taken(self._record, FIELDS)
        since = self._record.get("stage_change_time")
        said: list[Parsed] = []
        if status == "open" and since:
            entered = zoneless(since, "stage_change_time")
            place = {f: data[f] for f in ("stage", "pipeline") if f in data} | {"entered_at": iso(entered)}
            moved = f"api/{self._deal}/stage/{_stage(self._record)}/{iso(entered)}"
            said.append(DealFact(EventType.MOVED, moved, self._deal, entered, place))
        said += self._closing(status)
        return said + standing(number, self._deal, time, status, data | self._link)

    def _closing(self, status: str) -> list[Parsed]:
        """A closing that the flow does not tell, when it was: the deal may have changed since."""
        at = self._record.get(f"{status}_time") or self._record.get("close_time")
        if status in ("open", self._status) or not at:
            return []
        closed = zoneless(at, f"{status}_time")
        return standing(f"api/{self._deal}/closed/{iso(closed)}", self._deal, closed, status, self._place())


def _value(value: Any) -> str | None:
    return None if value in (None, "") else str(value)[:200]


def _stage(record: Record) -> str:
    return id_of(record.get("stage_id"), "stage_id")


def _updated(record: Record) -> datetime:
    return zoneless(record.get("update_time") or record.get("add_time"), "update_time")


def _status(record: Record) -> str | None:
    """None: deleted."""
    return None if record.get("is_deleted") is True else status_of(record.get("status"))


def _link(url: str, deal: str) -> dict[str, str]:
    """Where the deal is shown. The address that serves all companies shows none."""
    host = httpx.URL(url).host
    shown = host.endswith(".pipedrive.com") and host != "api.pipedrive.com"
    return {"url": f"https://{host}/deal/{deal}"} if shown else {}
