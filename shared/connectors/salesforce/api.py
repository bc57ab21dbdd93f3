"""Salesforce: opportunities, deleted ones too, with the history that Salesforce keeps of stages and of tracked fields.

Source: Salesforce's REST API guide ("QueryAll", "sObject Describe", "Status codes and error responses"), its object
reference (Opportunity, OpportunityHistory, OpportunityFieldHistory, OpportunityStage) and the page "OAuth 2.0 client
credentials flow". Times are in whole seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

import httpx

from services.enricher.gaps import DealPart
from shared.connectors.base.api_client import CrmRejected, CrmUnavailable
from shared.connectors.base.api_settings import ApiSettings
from shared.connectors.base.crm_api import CrmApi, Page, Record, fault_of, records_of
from shared.connectors.base.json_source import day_of, standing, taken
from shared.connectors.base.source import (
    DealFact,
    InvalidField,
    Parsed,
    amount_of,
    id_of,
    moment_of_text,
    text_of,
)
from shared.connectors.salesforce.webhook import FIELDS, SalesforceApiSettings
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_MOST = 200
DAILY = 86_400.0
# What Salesforce says of an object, or a field, that the organization does not have.
_NOT_THERE = (b"INVALID_TYPE", b"INVALID_FIELD")
_READ = (
    "Id",
    "Name",
    "StageName",
    "Amount",
    "CloseDate",
    "IsClosed",
    "IsWon",
    "IsDeleted",
    "CreatedDate",
    "SystemModstamp",
    "LastStageChangeDate",
    "RecordTypeId",
    "CurrencyIsoCode",
)
_STAGES = "SELECT ApiName, MasterLabel, SortOrder, DefaultProbability, IsClosed, IsWon FROM OpportunityStage"
_RECORD_TYPE = re.compile(r"012[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?")


class ClientCredentials(httpx.Auth):
    """A token by the client credentials flow, fetched anew when it has run out."""

    requires_response_body = True

    def __init__(self, url: str, client_id: str, secret: str) -> None:
        self._url, self._client, self._token = url, {"client_id": client_id, "client_secret": secret}, ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
            if (yield request).status_code != 401:
                return
        form = {"grant_type": "client_credentials", **self._client}
        answer = yield httpx.Request("POST", f"{self._url}/services/oauth2/token", data=form)
        if not answer.is_success:
            # What the token's endpoint refuses is the answer: a 400 means credentials here.
            answer.status_code = 401 if answer.status_code == 400 else answer.status_code
            return
        self._token = _token_of(answer)
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _token_of(answer: httpx.Response) -> str:
    """The token of a session; an answer of another form is a fault of transport: Salesforce is away, not refusing."""
    try:
        token = answer.json()["access_token"]
    except (ValueError, TypeError, LookupError):
        token = None
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise httpx.DecodingError(
            f"answer {answer.status_code} of the token's endpoint holds no access_token", request=answer.request
        )
    return token


class SalesforceApi(CrmApi):
    kind: ClassVar[str] = "salesforce"
    settings_type = SalesforceApiSettings
    # Pipelines are record types, and many have none.
    needs: ClassVar[int] = DealPart.CREATED | DealPart.STAGE | DealPart.NAME
    at_once: ClassVar[int] = 100
    _fields: str = ""
    _outcomes: dict[str, StageOutcome] | None = None
    _asked = 0.0
    _tracked = True

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return ClientCredentials(api.url, cast("SalesforceApiSettings", api).client_id, token)

    @staticmethod
    def passing(response: httpx.Response) -> bool:
        """The day's requests are used up (403), or a query took too long (400)."""
        return (response.status_code, True) in (
            (403, b"REQUEST_LIMIT_EXCEEDED" in response.content),
            (400, b"QUERY_TIMEOUT" in response.content),
        )

    @property
    def _api(self) -> SalesforceApiSettings:
        return cast("SalesforceApiSettings", self.api)

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        right = [deal for deal in deals if _ID.fullmatch(deal)]
        records = await self._deals(f"Id IN ({_quoted(right)})", "Id") if right else []
        # The last three of eighteen characters only repeat the case of the others.
        by_id = {id_of(record.get("Id"), "Id")[:15]: record for record in records}
        known = {deal: by_id[deal[:15]] for deal in right if deal[:15] in by_id}
        told = await self._told(list(known.values()))
        return {deal: told[number] for number, deal in enumerate(known)}

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        after = f"SystemModstamp >= {_second(since)}"
        while records := await self._deals(after, "SystemModstamp, Id"):
            last, stamp = id_of(records[-1].get("Id"), "Id"), _time(records[-1], "SystemModstamp")
            yield Page(_flat(await self._told(records)), len(records), reached=stamp)
            here = _second(stamp)
            after = f"(SystemModstamp > {here} OR (SystemModstamp = {here} AND Id > '{last}'))"

    async def all(self, since: datetime, place: str) -> AsyncIterator[Page]:
        """`place`: the id of the last opportunity."""
        wanted = f"(IsClosed = false OR SystemModstamp >= {_second(since)})"
        while records := await self._deals(wanted + (f" AND Id > '{place}'" if place else ""), "Id"):
            mine = [r for r in records if r.get("IsDeleted") is not True or _time(r, "SystemModstamp") >= since]
            place = id_of(records[-1].get("Id"), "Id")
            yield Page(_flat(await self._told(mine)), len(records), place=place)

    async def _deals(self, where: str, order: str) -> list[Record]:
        if not self._fields:
            described = await self.client.get(f"{self._path}/sobjects/Opportunity/describe")
            there = {one.get("name") for one in records_of(described, "fields")}
            self._fields = ", ".join(field for field in _READ if field in there)
        return await self._query(f"SELECT {self._fields} FROM Opportunity WHERE {where} ORDER BY {order} LIMIT {_MOST}")

    @property
    def _path(self) -> str:
        return f"/services/data/{self._api.version}"

    async def _query(self, query: str) -> list[Record]:
        """Every record of a query, deleted ones too."""
        document = await self.client.get(f"{self._path}/queryAll", q=query)
        records = records_of(document, "records")
        while document.get("nextRecordsUrl"):
            document = await self.client.get(str(document["nextRecordsUrl"]))
            records += records_of(document, "records")
        return records

    async def stages(self) -> list[StageData]:
        found: list[StageData] = []
        for stage in await self._query(_STAGES):
            chance = stage.get("DefaultProbability")
            found.append(
                StageData.model_validate(
                    {
                        "source": self.source.name,
                        "stage": _name(stage),
                        "name": text_of(stage.get("MasterLabel"), "MasterLabel"),
                        "order": stage.get("SortOrder"),
                        "outcome": _outcome(stage),
                        **({"probability": chance / 100} if isinstance(chance, int | float) else {}),
                    }
                )
            )
        return found

    async def _told(self, records: Sequence[Record]) -> list[list[Parsed]]:
        """What each of these opportunities says, with its history."""
        if not records:
            return []
        about = f"WHERE OpportunityId IN ({_quoted(id_of(one.get('Id'), 'Id') for one in records)})"
        rows = [*await self._stage_history(about), *await self._field_history(about)]
        await self._learn({str(one["StageName"]) for one in [*records, *rows] if one.get("StageName")})
        by_deal: dict[Any, list[Record]] = {}
        for row in rows:
            by_deal.setdefault(row.get("OpportunityId"), []).append(row)
        return [self._of(record, by_deal.get(record.get("Id"), [])) for record in records]

    async def _learn(self, stages: set[str]) -> None:
        """What stages mean. Asked for daily, and when an opportunity was in a stage that is new."""
        now, known = time.monotonic(), self._outcomes or {}
        if self._outcomes is not None and stages <= known.keys() and now - self._asked < DAILY:
            return
        found = {_name(stage): _outcome(stage) for stage in await self._query(_STAGES)}
        # A stage that was removed is held to be open; it is not asked for with every opportunity.
        self._outcomes, self._asked = dict.fromkeys(stages, StageOutcome.OPEN) | known | found, now

    async def _stage_history(self, about: str) -> list[Record]:
        fields = "Id, OpportunityId, StageName, Amount, CloseDate, CreatedDate"
        return await self._query(f"SELECT {fields} FROM OpportunityHistory {about}")

    async def _field_history(self, about: str) -> list[Record]:
        """Changes of record types, and of stages once more, as far as the organization tracks them."""
        if not self._tracked:
            return []
        fields = "Id, OpportunityId, Field, OldValue, NewValue, CreatedDate"
        only = "AND Field IN ('StageName', 'RecordType')"
        try:
            return await self._query(f"SELECT {fields} FROM OpportunityFieldHistory {about} {only}")
        except CrmRejected as error:
            if error.status != 400:
                raise
            if not any(code in error.answer for code in _NOT_THERE):
                raise CrmUnavailable(f"OpportunityFieldHistory: {error}") from error
            # Without field history there is no such object.
            self._tracked = False
            return []

    def _of(self, record: Record, rows: Sequence[Record]) -> list[Parsed]:
        try:
            in_order = sorted(rows, key=lambda one: (_time(one, "CreatedDate"), id_of(one.get("Id"), "Id")))
            return _Story(record, self._outcomes or {}, self._api).told(in_order)
        except InvalidField as error:
            return [fault_of(record, error)]


class _Story:
    """An opportunity's history in order, from its creation on."""

    def __init__(self, record: Record, outcomes: dict[str, StageOutcome], api: SalesforceApiSettings) -> None:
        self._record, self._outcomes, self._api = record, outcomes, api
        self._deal = id_of(record.get("Id"), "Id")
        self._place: dict[str, Any] = {}

    def told(self, rows: Sequence[Record]) -> list[Parsed]:
        """Creation, each row, and how the opportunity stands as of when it last changed."""
        made = _time(self._record, "CreatedDate")
        self._place = self._first(rows)
        said = self._standing("created", made, {}, created=True)
        for row in rows:
            said += self._row(row)
        return said + self._present()

    def _first(self, rows: Sequence[Record]) -> dict[str, Any]:
        """Where it was when it was created, as far as that can be told."""
        now = taken({f: self._record.get(f) for f in ("StageName", "RecordTypeId") if self._record.get(f)}, FIELDS)
        stages = [one.get("StageName") or one.get("OldValue") for one in rows if one.get("Field") != "RecordType"]
        types = [one["OldValue"] for one in rows if _is_type(one, "OldValue")]
        first: dict[str, Any] = {}
        if stages and stages[0]:
            first["stage"] = id_of(stages[0], "StageName")
        elif not self._record.get("LastStageChangeDate"):
            first["stage"] = now.get("stage")
        if types:
            first["pipeline"] = types[0]
        elif self._api.record_types_stay and "pipeline" in now:
            first["pipeline"] = now["pipeline"]
        return {field: value for field, value in first.items() if value}

    def _row(self, row: Record) -> list[Parsed]:
        time, more = _time(row, "CreatedDate"), dict[str, Any]()
        if _is_type(row, "NewValue"):
            self._place["pipeline"] = row["NewValue"]
        elif row.get("Field") == "RecordType":
            return []
        else:
            self._place["stage"] = id_of(row.get("StageName") or row.get("NewValue"), "StageName")
            if row.get("CloseDate"):
                more["expected_close"] = day_of(row["CloseDate"], "CloseDate")
            if row.get("Amount") is not None:
                more["amount"] = amount_of(row["Amount"], "Amount")
        return self._standing(id_of(row.get("Id"), "Id"), time, more)

    def _standing(self, what: str, time: datetime, more: dict[str, Any], created: bool = False) -> list[Parsed]:
        status = self._outcomes.get(str(self._place.get("stage")), StageOutcome.OPEN).value
        return standing(f"api/{self._deal}/{what}", self._deal, time, status, self._place | more, created)

    def _present(self) -> list[Parsed]:
        time = _time(self._record, "SystemModstamp")
        number = f"api/{self._deal}/state/{iso(time)}"
        if self._record.get("IsDeleted") is True:
            return [DealFact(EventType.DELETED, number, self._deal, time, {})]
        data = taken(self._record, FIELDS)
        data["url"] = f"{self._api.url}/{self._deal}"
        won, closed = self._record.get("IsWon") is True, self._record.get("IsClosed") is True
        status = "won" if won else "lost" if closed else "open"
        said: list[Parsed] = []
        if status == "open" and self._record.get("LastStageChangeDate"):
            entered = _time(self._record, "LastStageChangeDate")
            place = {"stage": data.get("stage"), "entered_at": iso(entered)}
            moved = f"api/{self._deal}/stage/{iso(entered)}"
            said.append(DealFact(EventType.MOVED, moved, self._deal, entered, place))
        return said + standing(number, self._deal, time, status, data)


def _is_type(row: Record, field: str) -> bool:
    """Salesforce writes two rows for a record type: one with names, one with ids."""
    return row.get("Field") == "RecordType" and bool(_RECORD_TYPE.fullmatch(str(row.get(field))))


def _name(stage: Record) -> str:
    """A stage is known by the value that opportunities have."""
    return id_of(stage.get("ApiName") or stage.get("MasterLabel"), "ApiName")


def _outcome(stage: Record) -> StageOutcome:
    if stage.get("IsWon") is True:
        return StageOutcome.WON
    return StageOutcome.LOST if stage.get("IsClosed") is True else StageOutcome.OPEN


def _flat(told: Iterable[list[Parsed]]) -> list[Parsed]:
    return [one for said in told for one in said]


def _quoted(ids: Iterable[str]) -> str:
    return ", ".join(f"'{one}'" for one in ids)


def _time(record: Record, field: str) -> datetime:
    """`2026-03-10T09:00:00.000+0000`."""
    return moment_of_text(record.get(field), field)


def _second(moment: datetime) -> str:
    return iso(moment)[:19] + "Z"
