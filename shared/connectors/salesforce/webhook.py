"""Salesforce Outbound Messages: SOAP with 1 to 100 notifications of how opportunities stand; nothing is signed.

Source: Salesforce's SOAP API guide, "Outbound Messaging"; docs/sources/salesforce.md says what to click.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from pydantic import Field

from shared.connectors.base.api_settings import ApiSettings, ApiSourceSettings
from shared.connectors.base.json_source import day_of, standing, taken, verify_key
from shared.connectors.base.source import (
    Ignored,
    Invalid,
    InvalidField,
    Parsed,
    RefusalReason,
    Reply,
    Request,
    Source,
    Unauthenticated,
    amount_of,
    currency_of,
    id_of,
    moment_of_text,
    text_of,
)
from shared.connectors.salesforce.outbound_message import OutboundPart, read
from shared.contracts.dead import DeadReason

ACK = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)
# A session's id is a live credential: it is blanked before anything is kept.
_SESSION = re.compile(rb"(<(?:\w+:)?SessionId\b[^<>]*>)[^<]*(</(?:\w+:)?SessionId>)")
_ORGANIZATION = re.compile(rb"OrganizationId>\s*(\w{15,18})\s*<")
_HOST = re.compile(r"https://([A-Za-z0-9.-]{1,200})(?:/|$)")
# Two fields of one moment, written by one transaction.
_TOGETHER_SECONDS = 2
FIELDS = {
    "StageName": ("stage", id_of),
    "Name": ("name", text_of),
    "Amount": ("amount", amount_of),
    "CurrencyIsoCode": ("currency", currency_of),
    "CloseDate": ("expected_close", day_of),
    "RecordTypeId": ("pipeline", id_of),
}


class SalesforceApiSettings(ApiSettings):
    """`token`: the consumer secret of a connected app; `url`: https://MY-DOMAIN.my.salesforce.com."""

    client_id: str = Field(min_length=1, description="the consumer key of the connected app (client credentials flow)")
    version: str = Field("v62.0", pattern=r"^v\d{2,3}\.0$", description="version of the REST API")
    record_types_stay: bool = Field(
        False, description="record types of opportunities never change: the past is told under today's, too"
    )


class SalesforceSettings(ApiSourceSettings):
    """`secrets` are keys at the end of the endpoint's address (`?key=`): Salesforce cannot sign."""

    api: SalesforceApiSettings | None = Field(
        None, description="the API, for the enricher; without it nothing is asked"
    )

    organization: str = Field(
        pattern=r"^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$", description="organization id, 15 or 18 characters from 00D"
    )


class SalesforceWebhook(Source):
    kind: ClassVar[str] = "salesforce"
    keyed: ClassVar[bool] = True
    clicks: ClassVar[str] = (
        "Setup > Outbound Messages > New on Opportunity, without Send Session ID, with CreatedDate, "
        "LastModifiedDate, SystemModstamp, Name, StageName, Amount, CloseDate, IsClosed, IsWon; then a "
        "record-triggered flow on create and update that sends it."
    )
    settings_type = SalesforceSettings
    settings: SalesforceSettings
    reply: ClassVar[Reply | None] = Reply(200, ACK, "text/xml; charset=utf-8")

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)
        # Not secret, so that it proves nothing; but a message of another organization is a mistake to be told.
        found = _ORGANIZATION.search(request.body, 0, 4000)
        if found is not None and found[1].decode()[:15] != self.settings.organization[:15]:
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"OrganizationId {found[1].decode()} is not the organization of this source; compare `organization`",
            )

    def kept(self, request: Request) -> bytes:
        # In UTF-16 no tag would be found; it is not taken, and can still be read without its zeros.
        body = request.body.replace(b"\x00", b"")
        # Most send none, and the pattern looks at every tag.
        return _SESSION.sub(rb"\1\2", body) if b"SessionId>" in body else body

    def translate(self, request: Request) -> list[Parsed]:
        try:
            message = read(request.body)
        except InvalidField as error:
            return [Invalid(str(error), self.kept(request), DeadReason.BAD_SHAPE)]
        organization, host = message.organization[:18], _HOST.match(message.url)
        said: list[Parsed] = []
        for part in message.parts:
            try:
                said += _said(part, organization, host[1] if host else "")
            except InvalidField as error:
                said.append(Invalid(str(error), part.xml.encode()))
        return said or [Ignored("no-notification")]


def _said(part: OutboundPart, organization: str, host: str) -> list[Parsed]:
    data = part.fields
    if not data:
        return [Ignored("record-was-deleted-meanwhile")]
    if part.type != "Opportunity":
        return [Ignored("not-a-deal")]
    number = f"{organization}/{id_of(part.id, 'Notification/Id')}"
    deal, time = id_of(data.get("Id"), "sf:Id"), _time(data)
    told = taken(data, FIELDS)
    if host:
        told["url"] = text_of(f"https://{host}/{deal}", "EnterpriseUrl")
    return standing(number, deal, time, _status(data), told, created=_is_new(data, time))


def _status(data: dict[str, str | None]) -> str:
    if data.get("IsClosed") == "true" and data.get("IsWon") is None:
        raise InvalidField("sf:IsWon: is missing; tick it in the Outbound Message, it tells won from lost")
    return "won" if data.get("IsWon") == "true" else "lost" if data.get("IsClosed") == "true" else "open"


def _time(data: dict[str, str | None]) -> datetime:
    for name in ("SystemModstamp", "LastModifiedDate"):
        if data.get(name):
            return moment_of_text(data[name], f"sf:{name}")
    raise InvalidField("sf:SystemModstamp: is missing; tick it in the Outbound Message, it tells when things happened")


def _is_new(data: dict[str, str | None], time: datetime) -> bool:
    made = data.get("CreatedDate")
    return bool(made) and abs((time - moment_of_text(made, "sf:CreatedDate")).total_seconds()) <= _TOGETHER_SECONDS
