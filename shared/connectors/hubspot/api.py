"""HubSpot: deals with the history of their properties, up to fifty at once.

Source: HubSpot's API reference, "CRM objects: Deals" (batch read with propertiesWithHistory, list, archived), "CRM
search", "Pipelines", and "API usage guidelines" (429 with policyName).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import httpx

from shared.connectors.base.api_settings import ApiSettings
from shared.connectors.base.crm_api import CrmApi, Page, Record, records_of, told_of
from shared.connectors.base.json_source import Read, day_of, fields_of, instant
from shared.connectors.base.source import (
    DealFact,
    Parsed,
    amount_of,
    currency_of,
    id_of,
    moment_of_text,
    text_of,
)
from shared.connectors.hubspot.webhook import HubSpotApiSettings, HubSpotSettings
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEALS = "/crm/v3/objects/deals"
# As many as HubSpot gives with their history, and without.
_MOST, _MOST_PLAIN = 50, 100
_MODIFIED, _ID = "hs_lastmodifieddate", "hs_object_id"
_FIELDS: dict[str, tuple[str, Read]] = {
    "pipeline": ("pipeline", id_of),
    "dealname": ("name", text_of),
    "amount": ("amount", amount_of),
    "deal_currency_code": ("currency", currency_of),
    "closedate": ("expected_close", day_of),
    "notes_next_activity_date": ("next_step_at", instant),
}
_WITH_HISTORY = ("dealstage", *_FIELDS)
_PLAIN = ("hs_createdate", _MODIFIED, "hs_is_closed")


class Bearer(httpx.Auth):
    """`Authorization: Bearer`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class HubSpotApi(CrmApi):
    kind: ClassVar[str] = "hubspot"
    settings_type = HubSpotApiSettings
    at_once: ClassVar[int] = _MOST

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return Bearer(token)

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        found: dict[str, list[Parsed]] = {}
        for archived in ("false", "true"):
            missing = [deal for deal in deals if deal not in found]
            for record in await self._batch(missing, archived) if missing else []:
                found[id_of(record.get("id"), "id")] = told_of(record, self._said)
        return {deal: found[deal] for deal in deals if deal in found}

    async def _batch(self, deals: Sequence[str], archived: str = "false") -> list[Record]:
        asked = {
            "inputs": [{"id": deal} for deal in deals],
            "properties": _PLAIN,
            "propertiesWithHistory": _WITH_HISTORY,
        }
        return records_of(await self.client.post(f"{_DEALS}/batch/read", asked, archived=archived), "results")

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        """Deletions first: what was deleted is not found by searching."""
        async for records, _ in self._listed("true", "", history=False):
            gone = [id_of(one.get("id"), "id") for one in records if _archived(one) >= since]
            for at in range(0, len(gone), _MOST):
                yield Page(self._told(await self._batch(gone[at : at + _MOST], "true")), len(records))
        async for found, reached in self._modified_since(since):
            records = await self._batch([id_of(one.get("id"), "id") for one in found])
            yield Page(self._told(records), len(found), reached=reached)

    async def _modified_since(self, since: datetime) -> AsyncIterator[tuple[list[Record], datetime]]:
        """Deals in order of their last change, and up to when they are listed.

        Each page begins at the time that the last one reached: what changes meanwhile moves to the end, and to count
        on would skip others over.
        """
        stamp = _milliseconds(since)
        while True:
            document = await self._search(_MODIFIED, _filter(_MODIFIED, "GTE", stamp))
            found, more = records_of(document, "results"), _next(document)
            if not found:
                return
            reached = _modified(found[-1])
            last = _milliseconds(reached)
            before = [one for one in found if _milliseconds(_modified(one)) < last]
            if not more or before:
                yield before if more else found, reached
                stamp = last
            else:
                async for some in self._modified_at(last):
                    yield some, reached
                stamp = last + 1
            if not more:
                return

    async def _modified_at(self, stamp: int) -> AsyncIterator[list[Record]]:
        """Deals that changed at one instant and fill a page, as after an import; by their ids, which do not change."""
        last = "0"
        instant = (_filter(_MODIFIED, "GTE", stamp), _filter(_MODIFIED, "LTE", stamp))
        while found := records_of(await self._search(_ID, *instant, _filter(_ID, "GT", last)), "results"):
            yield found
            last = id_of(found[-1].get("id"), "id")

    async def _search(self, order: str, *filters: Record) -> Any:
        return await self.client.post(
            f"{_DEALS}/search",
            {
                "filterGroups": [{"filters": filters}],
                "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
                "properties": [_MODIFIED],
                "limit": _MOST,
            },
        )

    async def all(self, since: datetime, place: str) -> AsyncIterator[Page]:
        """`place`: whether archived deals are listed, and HubSpot's `after`."""
        archived, _, after = (place or "false/").partition("/")
        if archived == "false":
            async for records, on in self._listed("false", after):
                mine = [one for one in records if not _closed(one) or _modified(one) >= since]
                yield Page(self._told(mine), len(records), place=f"false/{on}" if on else "true/")
            after = ""
        async for records, on in self._listed("true", after):
            gone = [one for one in records if _archived(one) >= since]
            yield Page(self._told(gone), len(records), place=f"true/{on}")

    async def _listed(self, archived: str, after: str, history: bool = True) -> AsyncIterator[tuple[list[Record], str]]:
        """Deals page by page, with where the next page begins; empty: this was the last."""
        while True:
            document = await self.client.get(
                _DEALS,
                limit=_MOST if history else _MOST_PLAIN,
                archived=archived,
                after=after or None,
                properties=",".join(_PLAIN),
                propertiesWithHistory=",".join(_WITH_HISTORY) if history else None,
            )
            after = _next(document)
            yield records_of(document, "results"), after
            if not after:
                return

    async def stages(self) -> list[StageData]:
        found: list[StageData] = []
        for pipeline in records_of(await self.client.get("/crm/v3/pipelines/deals"), "results"):
            number, label = id_of(pipeline.get("id"), "id"), text_of(pipeline.get("label"), "label")
            for stage in records_of(pipeline, "stages"):
                found.append(
                    StageData.model_validate(
                        {
                            "source": self.source.name,
                            "pipeline": number,
                            "pipeline_name": label,
                            "stage": id_of(stage.get("id"), "id"),
                            "name": text_of(stage.get("label"), "label"),
                            "order": stage.get("displayOrder"),
                            **_outcome(fields_of(stage.get("metadata"), "metadata")),
                        }
                    )
                )
        return found

    def _told(self, records: Iterable[Record]) -> list[Parsed]:
        return [one for record in records for one in told_of(record, self._said)]

    def _said(self, record: Record) -> Iterator[Parsed]:
        """Creation, each version of each property, deletion."""
        deal, plain = id_of(record.get("id"), "id"), fields_of(record.get("properties") or {}, "properties")
        made = moment_of_text(plain.get("hs_createdate") or record.get("createdAt"), "createdAt")
        settings = self.source.settings
        link: dict[str, Any] = {}
        if isinstance(settings, HubSpotSettings) and settings.portal is not None:
            link["url"] = settings.deal_url.format(portal=settings.portal, deal=deal)
        yield DealFact(EventType.CREATED, f"api/{deal}/created/{iso(made)}", deal, made, link)
        histories = fields_of(record.get("propertiesWithHistory") or {}, "propertiesWithHistory")
        for name in _WITH_HISTORY:
            for version in records_of(histories, name):
                yield from _version(deal, name, version)
        if record.get("archived") is True:
            gone = _archived(record)
            yield DealFact(EventType.DELETED, f"api/{deal}/deleted/{iso(gone)}", deal, gone, {})


def _version(deal: str, name: str, version: Record) -> Iterator[DealFact]:
    """One value that a property had, since when. A deal does not come to be in no stage."""
    value, time = version.get("value") or None, moment_of_text(version.get("timestamp"), f"timestamp of {name}")
    number = f"api/{deal}/{name}/{iso(time)}/{str(value or '')[:80]}"
    if name == "dealstage":
        if value is not None:
            stage = {"stage": id_of(value, name), "entered_at": iso(time)}
            yield DealFact(EventType.MOVED, number, deal, time, stage)
        return
    field, read = _FIELDS[name]
    yield DealFact(EventType.CHANGED, number, deal, time, {field: None if value is None else read(value, name)})


def _next(document: Any) -> str:
    paging = fields_of(document, "answer").get("paging") or {}
    return str((fields_of(paging, "paging").get("next") or {}).get("after") or "")


def _modified(record: Record) -> datetime:
    plain = fields_of(record.get("properties") or {}, "properties")
    return moment_of_text(plain.get(_MODIFIED) or record.get("updatedAt"), _MODIFIED)


def _milliseconds(moment: datetime) -> int:
    """As HubSpot counts, without the rounding of a float."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _filter(name: str, operator: str, value: int | str) -> Record:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _archived(record: Record) -> datetime:
    return moment_of_text(record.get("archivedAt"), "archivedAt")


def _closed(record: Record) -> bool:
    return fields_of(record.get("properties") or {}, "properties").get("hs_is_closed") == "true"


def _outcome(metadata: Record) -> dict[str, Any]:
    """A closed stage is won or lost by its probability: 1 or 0."""
    try:
        probability = float(str(metadata.get("probability")))
    except ValueError:
        return {}
    if metadata.get("isClosed") in (True, "true"):
        return {"probability": probability, "outcome": StageOutcome.WON if probability else StageOutcome.LOST}
    return {"probability": probability, "outcome": StageOutcome.OPEN}
