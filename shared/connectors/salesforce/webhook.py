"""Salesforce's Outbound Messages: SOAP with 1 to 100 states of opportunities; a key in the URL, no signature.

Source: Salesforce's SOAP API guide, "Outbound Messaging"; docs/sources/salesforce.md has the set-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    currency_of,
    date_of,
    field_value,
    id_of,
    is_record_type,
    map_fields,
    text_of,
    time_of,
)
from shared.connectors.base.settings import ApiSettings, ApiSourceSettings
from shared.connectors.base.signatures import verify_key
from shared.connectors.base.source import RefusalReason, Reply, Request, Source, Unauthenticated
from shared.connectors.salesforce.outbound_message import OutboundPart, read_message, without_sessions
from shared.contracts.dead import DeadReason
from shared.contracts.events import EventType

ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)
# A session id is a live credential: redact it before the body is stored.
_SESSION = re.compile(rb"(<(?:\w+:)?SessionId\b[^<>]*>)[^<]*(</(?:\w+:)?SessionId>)")
_NO_SESSION = b'<SessionId xsi:nil="true"/>'
# A session id in another form: a tag that opens and is not closed at once.
_OPEN_SESSION = re.compile(rb"<(?:[^\s<>/:]{1,100}:)?SessionId(?:\s[^<>]*)?(?<!/)>(?!</)")
_PART_TAG = b"<Notification>"
_ORGANIZATION = re.compile(rb"OrganizationId>\s*(\w{15,18})\s*<")
_HOST = re.compile(r"https://([A-Za-z0-9.-]{1,200})(?:/|$)")
# How far apart two times written by one transaction may be.
_SAME_TRANSACTION_SECONDS = 2
FIELDS = {
    "StageName": ("stage", id_of),
    "Name": ("name", text_of),
    "Amount": ("amount", amount_of),
    "CurrencyIsoCode": ("currency", currency_of),
    "CloseDate": ("expected_close", date_of),
    "RecordTypeId": ("pipeline", id_of),
}


class SalesforceApiSettings(ApiSettings):
    """`token`: the consumer secret of a connected app; `url`: https://MY-DOMAIN.my.salesforce.com."""

    client_id: str = Field(min_length=1, description="the consumer key of the connected app (client credentials flow)")
    version: str = Field("v62.0", pattern=r"^v\d{2,3}\.0$", description="version of the REST API")
    record_types_stay: bool = Field(
        False, description="record types of opportunities never change: use today's for the past as well"
    )


class SalesforceSettings(ApiSourceSettings[SalesforceApiSettings]):
    """`secrets` are keys in the endpoint's URL (`?key=`): Salesforce cannot sign."""

    organization: str = Field(
        pattern=r"^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$", description="organization id, 15 or 18 characters from 00D"
    )


class SalesforceWebhook(Source):
    kind: ClassVar[str] = "salesforce"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "organization": "The organization id is in Salesforce under Setup > Company Information.",
    }
    key_in_url: ClassVar[bool] = True
    setup_steps: ClassVar[str] = (
        "Setup > Outbound Messages > New on Opportunity, without Send Session ID, with CreatedDate, "
        "LastModifiedDate, SystemModstamp, Name, StageName, Amount, CloseDate, IsClosed, IsWon; then a "
        "record-triggered flow on create and update that sends it."
    )
    settings_type = SalesforceSettings
    settings: SalesforceSettings
    success_reply: ClassVar[Reply | None] = Reply(200, ACK, "text/xml; charset=utf-8")

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)
        # The organization id is not secret and proves nothing, but a message from another one is a misconfiguration.
        found = _ORGANIZATION.search(request.body, 0, 4000)
        if found is not None and found[1].decode()[:15] != self.settings.organization[:15]:
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"OrganizationId {found[1].decode()} is not the organization of this source; compare `organization`",
            )

    def archived_body(self, request: Request) -> bytes:
        # The pattern would miss tags in UTF-16, which is not accepted anyway; without NULs the body stays readable.
        body = request.body.replace(b"\x00", b"")
        # The patterns are slow, and most messages have no session id, or the empty tag that Salesforce sends for none.
        named = body.find(b"SessionId")
        if named < 0 or (body.startswith(_NO_SESSION, named - 1) and body.find(b"SessionId", named + 1) < 0):
            return body
        body = _SESSION.sub(rb"\1\2", body)
        return without_sessions(body) if _OPEN_SESSION.search(body) else body

    def translate(self, request: Request) -> list[Parsed]:
        # Do not parse too many parts; a body shorter than their tags need not be counted.
        if len(request.body) > self.max_parts * len(_PART_TAG) and (
            excess := self.excess(request.body.count(_PART_TAG), request)
        ):
            return [excess]
        try:
            message = read_message(request.body)
        except InvalidField as error:
            return [Invalid(str(error), self.archived_body(request), DeadReason.BAD_SHAPE)]
        if excess := self.excess(len(message.parts), request):
            return [excess]
        organization, host = message.organization[:18], _HOST.match(message.url)
        parsed: list[Parsed] = []
        for part in message.parts:
            try:
                parsed += _parse_part(part, organization, host[1] if host else "")
            except InvalidField as error:
                parsed.append(Invalid(str(error), part.xml.encode()))
        return parsed or [Ignored("no-notification")]


def _parse_part(part: OutboundPart, organization: str, host: str) -> list[Parsed]:
    record = part.fields
    if not record:
        return [Ignored("record-was-deleted-meanwhile")]
    if not is_record_type(part.type, "Opportunity", "sObject type"):
        return [Ignored("not-a-deal")]
    event_id = f"{organization}/{id_of(part.id, 'Notification/Id')}"
    deal, time = id_of(record.get("Id"), "sf:Id"), _time(record)
    data = map_fields(record, FIELDS)
    if host:
        data["url"] = field_value("url", f"https://{host}/{deal}", text_of, "EnterpriseUrl")
    if record.get("IsDeleted") == "true":
        return [DealFact(EventType.DELETED, f"{event_id}/deleted", deal, time, {})]
    status, created = _status(record), _is_new(record, time)
    # It may have been in the recycle bin before: Salesforce does not say when it was taken out.
    restored = record.get("IsDeleted") == record.get("IsClosed") == "false" and not created
    return state_facts(event_id, deal, time, status, data, created=created, restored=restored)


def _status(record: dict[str, str | None]) -> str:
    if record.get("IsClosed") == "true" and record.get("IsWon") is None:
        raise InvalidField("sf:IsWon: is missing; tick it in the Outbound Message to tell won from lost")
    return "won" if record.get("IsWon") == "true" else "lost" if record.get("IsClosed") == "true" else "open"


def _time(record: dict[str, str | None]) -> datetime:
    for name in ("SystemModstamp", "LastModifiedDate"):
        if record.get(name):
            return time_of(record[name], f"sf:{name}")
    raise InvalidField("sf:SystemModstamp: is missing; tick it in the Outbound Message for the time of the change")


def _is_new(record: dict[str, str | None], time: datetime) -> bool:
    created = record.get("CreatedDate")
    if not created:
        return False
    return abs((time - time_of(created, "sf:CreatedDate")).total_seconds()) <= _SAME_TRANSACTION_SECONDS
