"""Salesforce's API: opportunities, deleted ones too, with the history of stages and of tracked fields.

Source: Salesforce's REST API guide ("QueryAll", "sObject Describe", "Status codes and error responses"), its object
reference (Opportunity, OpportunityHistory, OpportunityFieldHistory, OpportunityStage) and the page "OAuth 2.0 client
credentials flow". Times are in whole seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, cast

import httpx

from shared.connectors.base.api_client import ApiClient, CrmRejected, CrmUnavailable
from shared.connectors.base.crm_api import CrmApi, Page, Record, invalid_record, records_of
from shared.connectors.base.deal_parts import DealPart
from shared.connectors.base.facts import DealFact, Parsed, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    date_of,
    field_value,
    id_of,
    map_fields,
    text_of,
    time_of,
)
from shared.connectors.base.quota import Quota
from shared.connectors.base.settings import ApiSettings
from shared.connectors.base.source import Source
from shared.connectors.salesforce.webhook import FIELDS, SalesforceApiSettings
from shared.contracts.envelope import iso
from shared.contracts.events import EventType
from shared.contracts.stages import StageData, StageOutcome

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_PAGE_SIZE = 200
_USAGE = re.compile(r"(?<![-\w])api-usage=(\d{1,12})/(\d{1,12})")
# Error codes for an object or a field that the organization does not have.
_UNKNOWN_OBJECT = (b"INVALID_TYPE", b"INVALID_FIELD")
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
    """OAuth 2.0 client credentials flow; fetches a new token when the old one has expired."""

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
            # Pass the token endpoint's rejection on as the response; its 400 means wrong credentials.
            answer.status_code = 401 if answer.status_code == 400 else answer.status_code
            return
        self._token = _token_of(answer)
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _token_of(answer: httpx.Response) -> str:
    """The access token. A malformed response counts as a transport error: Salesforce is unavailable, not rejecting."""
    try:
        token = answer.json()["access_token"]
    except (ValueError, TypeError, LookupError):
        token = None
    if not isinstance(token, str) or not token or not (token.isascii() and token.isprintable()):
        raise httpx.DecodingError(
            f"response {answer.status_code} of the token endpoint has no access_token", request=answer.request
        )
    return token


class SalesforceApi(CrmApi):
    kind: ClassVar[str] = "salesforce"
    settings_type = SalesforceApiSettings
    # Pipelines are record types, and many organizations have none.
    required_parts: ClassVar[int] = DealPart.CREATED | DealPart.STAGE | DealPart.NAME
    batch_size: ClassVar[int] = 100

    def __init__(self, source: Source, api: ApiSettings, client: ApiClient, stages_ttl: float = 86_400.0) -> None:
        """`stages_ttl`: seconds after which the outcomes of stages are read again."""
        super().__init__(source, api, client)
        self._stages_ttl = stages_ttl
        self._fields = ""
        self._outcomes: dict[str, StageOutcome] | None = None
        self._outcomes_read_at = 0.0
        self._has_field_history = True

    @staticmethod
    def auth(api: ApiSettings, token: str) -> httpx.Auth:
        return ClientCredentials(api.url, cast("SalesforceApiSettings", api).client_id, token)

    @staticmethod
    def is_transient(response: httpx.Response) -> bool:
        """The daily request limit is exceeded (403), or a query timed out (400)."""
        return (response.status_code, True) in (
            (403, b"REQUEST_LIMIT_EXCEEDED" in response.content),
            (400, b"QUERY_TIMEOUT" in response.content),
        )

    @staticmethod
    def quota(headers: Mapping[str, str]) -> Quota | None:
        """The header counts what is used, as in `api-usage=18/5000` (Salesforce, "API Usage Header")."""
        found = _USAGE.search(headers.get("sforce-limit-info", ""))
        return Quota(int(found[2]) - int(found[1]), int(found[2])) if found else None

    @property
    def _api(self) -> SalesforceApiSettings:
        return cast("SalesforceApiSettings", self.api)

    async def read(self, deals: Sequence[str]) -> dict[str, list[Parsed]]:
        valid = [deal for deal in deals if _ID.fullmatch(deal)]
        records = await self._deals(f"Id IN ({_id_list(valid)})", "Id") if valid else []
        # The last three of eighteen characters are a checksum of the case of the others.
        by_id = {id_of(record.get("Id"), "Id")[:15]: record for record in records}
        known = {deal: by_id[deal[:15]] for deal in valid if deal[:15] in by_id}
        return dict(zip(known, await self._parse_all(list(known.values())), strict=True))

    async def changed(self, since: datetime) -> AsyncIterator[Page]:
        after = f"SystemModstamp >= {_second(since)}"
        while records := await self._deals(after, "SystemModstamp, Id"):
            last, stamp = id_of(records[-1].get("Id"), "Id"), _time(records[-1], "SystemModstamp")
            yield Page(_flatten(await self._parse_all(records)), len(records), reached=stamp)
            here = _second(stamp)
            after = f"(SystemModstamp > {here} OR (SystemModstamp = {here} AND Id > '{last}'))"

    async def all(self, since: datetime, cursor: str) -> AsyncIterator[Page]:
        """`cursor`: the id of the last listed opportunity."""
        relevant = f"(IsClosed = false OR SystemModstamp >= {_second(since)})"
        while records := await self._deals(relevant + (f" AND Id > '{cursor}'" if cursor else ""), "Id"):
            found = [r for r in records if r.get("IsDeleted") is not True or _time(r, "SystemModstamp") >= since]
            cursor = id_of(records[-1].get("Id"), "Id")
            yield Page(_flatten(await self._parse_all(found)), len(records), cursor=cursor)

    async def _deals(self, where: str, order: str) -> list[Record]:
        if not self._fields:
            described = await self.client.get(f"{self._path}/sobjects/Opportunity/describe")
            available = {one.get("name") for one in records_of(described, "fields")}
            self._fields = ", ".join(field for field in _READ if field in available)
        return await self._query(
            f"SELECT {self._fields} FROM Opportunity WHERE {where} ORDER BY {order} LIMIT {_PAGE_SIZE}"
        )

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
            probability = stage.get("DefaultProbability")
            found.append(
                StageData.model_validate(
                    {
                        "source": self.source.name,
                        "stage": _name(stage),
                        "name": text_of(stage.get("MasterLabel"), "MasterLabel"),
                        "order": stage.get("SortOrder"),
                        "outcome": _outcome(stage),
                        **({"probability": probability / 100} if isinstance(probability, int | float) else {}),
                    }
                )
            )
        return found

    async def _parse_all(self, records: Sequence[Record]) -> list[list[Parsed]]:
        """The facts of each opportunity and its history."""
        if not records:
            return []
        where = f"WHERE OpportunityId IN ({_id_list(id_of(one.get('Id'), 'Id') for one in records)})"
        rows = [*await self._stage_history(where), *await self._field_history(where)]
        await self._read_outcomes({str(one["StageName"]) for one in [*records, *rows] if one.get("StageName")})
        by_deal: dict[Any, list[Record]] = {}
        for row in rows:
            by_deal.setdefault(row.get("OpportunityId"), []).append(row)
        return [self._parse(record, by_deal.get(record.get("Id"), [])) for record in records]

    async def _read_outcomes(self, stages: set[str]) -> None:
        """Outcomes of stages. Read again when they are old, and when an opportunity was in an unknown stage."""
        now, known = time.monotonic(), self._outcomes or {}
        fresh = now - self._outcomes_read_at < self._stages_ttl
        if self._outcomes is not None and stages <= known.keys() and fresh:
            return
        found = {_name(stage): _outcome(stage) for stage in await self._query(_STAGES)}
        # Remember removed stages as open, so that their opportunities do not trigger a query each time.
        self._outcomes, self._outcomes_read_at = dict.fromkeys(stages, StageOutcome.OPEN) | known | found, now

    async def _stage_history(self, where: str) -> list[Record]:
        fields = "Id, OpportunityId, StageName, Amount, CloseDate, CreatedDate"
        return await self._query(f"SELECT {fields} FROM OpportunityHistory {where}")

    async def _field_history(self, where: str) -> list[Record]:
        """Changes of record types, and of stages once more, if the organization tracks them."""
        if not self._has_field_history:
            return []
        fields = "Id, OpportunityId, Field, OldValue, NewValue, CreatedDate"
        only = "AND Field IN ('StageName', 'RecordType')"
        try:
            return await self._query(f"SELECT {fields} FROM OpportunityFieldHistory {where} {only}")
        except CrmRejected as error:
            if error.status != 400:
                raise
            if not any(code in error.body for code in _UNKNOWN_OBJECT):
                raise CrmUnavailable(f"OpportunityFieldHistory: {error}") from error
            # Organizations without field history do not have this object.
            self._has_field_history = False
            return []

    def _parse(self, record: Record, rows: Sequence[Record]) -> list[Parsed]:
        try:
            in_order = sorted(rows, key=lambda one: (_time(one, "CreatedDate"), id_of(one.get("Id"), "Id")))
            return _OpportunityHistory(record, self._outcomes or {}, self._api).facts(in_order)
        except InvalidField as error:
            return [invalid_record(record, error)]


class _OpportunityHistory:
    """Replays an opportunity's history in order, from its creation on."""

    def __init__(self, record: Record, outcomes: dict[str, StageOutcome], api: SalesforceApiSettings) -> None:
        self._record, self._outcomes, self._api = record, outcomes, api
        self._deal = id_of(record.get("Id"), "Id")
        self._position: dict[str, Any] = {}

    def facts(self, rows: Sequence[Record]) -> list[Parsed]:
        """Creation, each row, and the current state as of the last change."""
        created = _time(self._record, "CreatedDate")
        self._position = self._first_position(rows)
        facts = self._state("created", created, {}, created=True)
        for row in rows:
            facts += self._replay(row)
        return facts + self._current_state()

    def _first_position(self, rows: Sequence[Record]) -> dict[str, Any]:
        """Stage and pipeline at creation, as far as they are known."""
        now = map_fields({f: self._record.get(f) for f in ("StageName", "RecordTypeId") if self._record.get(f)}, FIELDS)
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

    def _replay(self, row: Record) -> list[Parsed]:
        time, more = _time(row, "CreatedDate"), dict[str, Any]()
        if _is_type(row, "NewValue"):
            self._position["pipeline"] = row["NewValue"]
        elif row.get("Field") == "RecordType":
            return []
        else:
            self._position["stage"] = id_of(row.get("StageName") or row.get("NewValue"), "StageName")
            if row.get("CloseDate"):
                more["expected_close"] = field_value("expected_close", row["CloseDate"], date_of, "CloseDate")
            if row.get("Amount") is not None:
                more["amount"] = field_value("amount", row["Amount"], amount_of, "Amount")
        return self._state(id_of(row.get("Id"), "Id"), time, more)

    def _state(self, row_id: str, time: datetime, more: dict[str, Any], created: bool = False) -> list[Parsed]:
        status = self._outcomes.get(str(self._position.get("stage")), StageOutcome.OPEN).value
        return state_facts(f"api/{self._deal}/{row_id}", self._deal, time, status, self._position | more, created)

    def _current_state(self) -> list[Parsed]:
        time = _time(self._record, "SystemModstamp")
        event_id = f"api/{self._deal}/state/{iso(time)}"
        if self._record.get("IsDeleted") is True:
            return [DealFact(EventType.DELETED, event_id, self._deal, time, {})]
        data = map_fields(self._record, FIELDS)
        data["url"] = f"{self._api.url}/{self._deal}"
        won, closed = self._record.get("IsWon") is True, self._record.get("IsClosed") is True
        status = "won" if won else "lost" if closed else "open"
        facts: list[Parsed] = []
        if status == "open" and self._record.get("LastStageChangeDate"):
            entered = _time(self._record, "LastStageChangeDate")
            position = {"stage": data.get("stage"), "entered_at": iso(entered)}
            move_id = f"api/{self._deal}/stage/{iso(entered)}"
            facts.append(DealFact(EventType.MOVED, move_id, self._deal, entered, position))
        if status == "open" and data.get("stage"):
            # It may have been deleted and restored since its last move.
            position = {field: data[field] for field in ("stage", "pipeline") if data.get(field)}
            facts.append(DealFact(EventType.REOPENED, f"{event_id}/present", self._deal, time, position))
        return facts + state_facts(event_id, self._deal, time, status, data)


def _is_type(row: Record, field: str) -> bool:
    """Salesforce writes two rows per change of a record type, one with names and one with ids; this wants the ids."""
    return row.get("Field") == "RecordType" and bool(_RECORD_TYPE.fullmatch(str(row.get(field))))


def _name(stage: Record) -> str:
    """Stages are identified by the value that opportunities hold."""
    return id_of(stage.get("ApiName") or stage.get("MasterLabel"), "ApiName")


def _outcome(stage: Record) -> StageOutcome:
    if stage.get("IsWon") is True:
        return StageOutcome.WON
    return StageOutcome.LOST if stage.get("IsClosed") is True else StageOutcome.OPEN


def _flatten(by_deal: Iterable[list[Parsed]]) -> list[Parsed]:
    return [fact for facts in by_deal for fact in facts]


def _id_list(ids: Iterable[str]) -> str:
    """Ids for a SOQL `IN (...)`."""
    return ", ".join(f"'{one}'" for one in ids)


def _time(record: Record, field: str) -> datetime:
    """`2026-03-10T09:00:00.000+0000`."""
    return time_of(record.get(field), field)


def _second(moment: datetime) -> str:
    return iso(moment)[:19] + "Z"
