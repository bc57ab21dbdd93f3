"""HubSpot's API: deals with the history of their properties, up to fifty per request.

Source: HubSpot's API reference, "CRM objects: Deals" (batch read with propertiesWithHistory, list, archived), "CRM
search", "Pipelines", and "API usage guidelines" (429 with policyName).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar

import httpx

from shared.connectors.base.crm_api import CrmApi, Page, Record, parse_record, records_of, whole
from shared.connectors.base.facts import DealFact, Parsed, UnreadableField
from shared.connectors.base.fields import (
    FieldParser,
    amount_of,
    currency_of,
    date_of,
    field_value,
    id_of,
    object_of,
    text_of,
    time_of,
    utc_text_of,
)
from shared.connectors.base.quota import Quota
from shared.connectors.base.settings import ApiSettings
from shared.connectors.hubspot.webhook import HubSpotApiSettings, HubSpotSettings
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEALS = "/crm/v3/objects/deals"
# HubSpot's limits, with property history and without.
_PAGE_SIZE, _PLAIN_PAGE_SIZE = 50, 100
_MODIFIED, _ID = "hs_lastmodifieddate", "hs_object_id"
_FIELDS: dict[str, tuple[str, FieldParser]] = {
    "pipeline": ("pipeline", id_of),
    "dealname": ("name", text_of),
    "amount": ("amount", amount_of),
    "deal_currency_code": ("currency", currency_of),
    "closedate": ("expected_close", date_of),
    "notes_next_activity_date": ("next_step_at", utc_text_of),
}
_WITH_HISTORY = ("dealstage", *_FIELDS)
# Ids of the deals that were merged into this one, separated by semicolons.
_MERGED = "hs_merged_object_ids"
_PLAIN = ("hs_createdate", _MODIFIED, "hs_is_closed", _MERGED)


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
    batch_size: ClassVar[int] = _PAGE_SIZE

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return Bearer(token)

    @staticmethod
    def quota(headers: Mapping[str, str]) -> Quota | None:
        """Source: HubSpot, "Usage guidelines"."""
        left = whole(headers.get("x-hubspot-ratelimit-daily-remaining", ""))
        allowed = whole(headers.get("x-hubspot-ratelimit-daily", ""))
        return None if left is None or allowed is None else Quota(left, allowed)

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        found: dict[str, list[Parsed]] = {}
        for archived in ("false", "true"):
            missing = [deal for deal in deals if deal not in found]
            records = await self._batch(missing, archived) if missing else []
            found |= self._by_deal(missing, records)
        return {deal: found[deal] for deal in deals if deal in found}

    def _by_deal(self, deals: Sequence[str], records: Sequence[Record]) -> dict[str, list[Parsed]]:
        """The facts of each deal. For a merged deal's id HubSpot returns the record of the surviving deal."""
        by_id = {id_of(record.get("id"), "id"): record for record in records}
        found = {deal: parse_record(by_id[deal], self._facts) for deal in deals if deal in by_id}
        for deal in deals:
            for into, record in by_id.items():
                if deal not in by_id and deal in _merged_ids(record):
                    merged = parse_record(record, partial(self._merge, deal, into))
                    found[deal] = [*merged, *(found.get(into) or parse_record(record, self._facts))]
        return found

    def _merge(self, deal: str, into: str, record: Record) -> Iterator[Parsed]:
        time = _merged_at(record, deal)
        data = {"into": f"{self.source.name}:{into}"}
        yield DealFact(EventType.MERGED, f"api/{deal}/merged/{into}", deal, time, data)

    async def _batch(self, deals: Sequence[str], archived: str = "false") -> list[Record]:
        query = {
            "inputs": [{"id": deal} for deal in deals],
            "properties": _PLAIN,
            "propertiesWithHistory": (*_WITH_HISTORY, _MERGED),
        }
        return records_of(await self.client.post(f"{_DEALS}/batch/read", query, archived=archived), "results")

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        """Deletions first: the search does not find deleted deals."""
        async for records, _ in self._list("true", "", history=False):
            deleted = [id_of(one.get("id"), "id") for one in records if _archived_at(one) >= since]
            for start in range(0, len(deleted), _PAGE_SIZE):
                batch = await self._batch(deleted[start : start + _PAGE_SIZE], "true")
                yield Page(self._parse_all(batch), len(records))
        async for found, reached in self._modified_since(since):
            records = await self._batch([id_of(one.get("id"), "id") for one in found])
            yield Page(self._parse_all(records), len(found), reached=reached)

    async def _modified_since(self, since: datetime) -> AsyncIterator[tuple[list[Record], datetime]]:
        """Deals ordered by their last change, each page with the time that it reaches.

        Each page starts at the time that the previous one reached: an offset would skip records, because changed ones
        move to the end meanwhile.
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
                async for page in self._modified_at(last):
                    yield page, reached
                stamp = last + 1
            if not more:
                return

    async def _modified_at(self, stamp: int) -> AsyncIterator[list[Record]]:
        """Deals that changed at one instant and fill pages, as after an import; ordered by id, which is stable."""
        last = "0"
        at_stamp = (_filter(_MODIFIED, "GTE", stamp), _filter(_MODIFIED, "LTE", stamp))
        while found := records_of(await self._search(_ID, *at_stamp, _filter(_ID, "GT", last)), "results"):
            yield found
            last = id_of(found[-1].get("id"), "id")

    async def _search(self, order: str, *filters: Record) -> Any:
        return await self.client.post(
            f"{_DEALS}/search",
            {
                "filterGroups": [{"filters": filters}],
                "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
                "properties": [_MODIFIED],
                "limit": _PAGE_SIZE,
            },
        )

    async def all(self, since: datetime, cursor: str) -> AsyncIterator[Page]:
        """`cursor`: whether archived deals are being listed, and HubSpot's `after`."""
        archived, _, after = (cursor or "false/").partition("/")
        if archived == "false":
            async for records, next_page in self._list("false", after):
                relevant = [one for one in records if not _closed(one) or _modified(one) >= since]
                yield Page(
                    self._parse_all(relevant), len(records), cursor=f"false/{next_page}" if next_page else "true/"
                )
            after = ""
        async for records, next_page in self._list("true", after):
            deleted = [one for one in records if _archived_at(one) >= since]
            yield Page(self._parse_all(deleted), len(records), cursor=f"true/{next_page}")

    async def _list(self, archived: str, after: str, history: bool = True) -> AsyncIterator[tuple[list[Record], str]]:
        """Deals page by page, each with the `after` of the next page; an empty one marks the last page."""
        while True:
            document = await self.client.get(
                _DEALS,
                limit=_PAGE_SIZE if history else _PLAIN_PAGE_SIZE,
                archived=archived,
                after=after or None,
                properties=",".join(_PLAIN),
                propertiesWithHistory=",".join((*_WITH_HISTORY, _MERGED)) if history else None,
            )
            after = _next(document)
            yield records_of(document, "results"), after
            if not after:
                return

    async def stages(self) -> list[StageData]:
        found: list[StageData] = []
        for pipeline in records_of(await self.client.get("/crm/v3/pipelines/deals"), "results"):
            pipeline_id, label = id_of(pipeline.get("id"), "id"), text_of(pipeline.get("label"), "label")
            for stage in records_of(pipeline, "stages"):
                found.append(
                    StageData.model_validate(
                        {
                            "source": self.source.name,
                            "pipeline": pipeline_id,
                            "pipeline_name": label,
                            "stage": id_of(stage.get("id"), "id"),
                            "name": text_of(stage.get("label"), "label"),
                            "order": stage.get("displayOrder"),
                            **_outcome(object_of(stage.get("metadata"), "metadata")),
                        }
                    )
                )
        return found

    def _parse_all(self, records: Iterable[Record]) -> list[Parsed]:
        return [fact for record in records for fact in parse_record(record, self._facts)]

    def _facts(self, record: Record) -> Iterator[Parsed]:
        """Creation, each version of each property, deletion."""
        deal, plain = id_of(record.get("id"), "id"), object_of(record.get("properties") or {}, "properties")
        created = time_of(plain.get("hs_createdate") or record.get("createdAt"), "createdAt")
        settings = self.source.settings
        link: dict[str, Any] = {}
        if isinstance(settings, HubSpotSettings) and settings.portal is not None:
            link["url"] = settings.deal_url.format(portal=settings.portal, deal=deal)
        yield DealFact(EventType.CREATED, f"api/{deal}/created/{iso(created)}", deal, created, link)
        histories = object_of(record.get("propertiesWithHistory") or {}, "propertiesWithHistory")
        earliest = created if _merged_ids(record) else None
        stages: list[DealFact] = []
        for name in _WITH_HISTORY:
            facts = _property_facts(deal, name, records_of(histories, name), earliest, created)
            stages += facts if name == "dealstage" else []
            yield from facts
        if record.get("archived") is True:
            deleted = _archived_at(record)
            yield DealFact(EventType.DELETED, f"api/{deal}/deleted/{iso(deleted)}", deal, deleted, {})
        elif stages:
            yield _presence(record, max(stages, key=lambda fact: fact.time))


def _presence(record: Record, stage: DealFact) -> DealFact:
    """The deal exists as of its last change: it may have been deleted and restored since its last move."""
    time = max(_modified(record), stage.time)
    event_id = f"api/{stage.deal}/present/{iso(time)}"
    return DealFact(EventType.REOPENED, event_id, stage.deal, time, {"stage": stage.data["stage"]})


def _property_facts(
    deal: str, name: str, versions: Sequence[Record], earliest: datetime | None, created: datetime
) -> list[DealFact]:
    """The versions of one property. Those before `earliest` belong to deals merged into this one.

    The last of those is the value that the deal began with.
    """
    facts = [fact for version in versions for fact in _version_facts(deal, name, version, created)]
    if earliest is None:
        return facts
    inherited = [fact for fact in facts if fact.time < earliest]
    own = [fact for fact in facts if fact.time >= earliest]
    if not inherited:
        return own
    last = max(inherited, key=lambda fact: fact.time)
    return [last._replace(time=earliest, data={n: v for n, v in last.data.items() if n != "entered_at"}), *own]


def _version_facts(deal: str, name: str, version: Record, created: datetime) -> Iterator[DealFact]:
    """One past value of a property. An empty stage is skipped: a deal is always in some stage."""
    value, stamp = version.get("value") or None, version.get("timestamp")
    if name in _FIELDS and _FIELDS[name][0] != "pipeline":
        readable = field_value(_FIELDS[name][0], stamp, time_of, f"timestamp of {name}")
        if not isinstance(readable, datetime):
            # Leave out a version without a time, and report it with the time of creation.
            unreadable = readable or UnreadableField(f"timestamp of {name}: is missing")
            yield DealFact(EventType.CHANGED, f"api/{deal}/{name}/-", deal, created, {_FIELDS[name][0]: unreadable})
            return
    time = time_of(stamp, f"timestamp of {name}")
    event_id = f"api/{deal}/{name}/{iso(time)}/{str(value or '')[:80]}"
    if name == "dealstage":
        if value is not None:
            stage = {"stage": id_of(value, name), "entered_at": iso(time)}
            yield DealFact(EventType.MOVED, event_id, deal, time, stage)
        return
    field, parse = _FIELDS[name]
    yield DealFact(EventType.CHANGED, event_id, deal, time, {field: field_value(field, value, parse, name)})


def _merged_ids(record: Record) -> list[str]:
    """The deals that were merged into this one."""
    plain = object_of(record.get("properties") or {}, "properties")
    return [one for one in str(plain.get(_MERGED) or "").split(";") if one]


def _merged_at(record: Record, deal: str) -> datetime:
    """When a deal was merged into this one: the first version of the list that names it, else the last change."""
    histories = object_of(record.get("propertiesWithHistory") or {}, "propertiesWithHistory")
    versions = [one for one in records_of(histories, _MERGED) if deal in str(one.get("value") or "").split(";")]
    times = [time_of(one.get("timestamp"), f"timestamp of {_MERGED}") for one in versions]
    return min(times) if times else _modified(record)


def _next(document: Any) -> str:
    paging = object_of(document, "answer").get("paging") or {}
    return str((object_of(paging, "paging").get("next") or {}).get("after") or "")


def _modified(record: Record) -> datetime:
    plain = object_of(record.get("properties") or {}, "properties")
    return time_of(plain.get(_MODIFIED) or record.get("updatedAt"), _MODIFIED)


def _milliseconds(moment: datetime) -> int:
    """Exact milliseconds since 1970; a float would round."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _filter(name: str, operator: str, value: int | str) -> Record:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _archived_at(record: Record) -> datetime:
    return time_of(record.get("archivedAt"), "archivedAt")


def _closed(record: Record) -> bool:
    return object_of(record.get("properties") or {}, "properties").get("hs_is_closed") == "true"


def _outcome(metadata: Record) -> dict[str, Any]:
    """A closed stage is won or lost by its probability: 1 or 0."""
    try:
        probability = float(str(metadata.get("probability")))
    except ValueError:
        return {}
    if metadata.get("isClosed") in (True, "true"):
        return {"probability": probability, "outcome": StageOutcome.WON if probability else StageOutcome.LOST}
    return {"probability": probability, "outcome": StageOutcome.OPEN}
