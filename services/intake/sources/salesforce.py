"""Salesforce Outbound Messages: SOAP with 1 to 100 notifications of how opportunities stand; nothing is signed.

Source: Salesforce's SOAP API guide, "Outbound Messaging"; docs/sources/salesforce.md says what to click.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from lxml import etree
from pydantic import Field

from services.intake.sources.api import ApiSettings, ApiSourceSettings
from services.intake.sources.base import (
    Ignored,
    RefusalReason,
    RefusedError,
    Reply,
    Request,
    Said,
    Source,
    Unclear,
    UnclearError,
    amount_of,
    currency_of,
    id_of,
    moment_of_text,
    shown,
    text_of,
)
from services.intake.sources.forms import day_of, standing, taken, verify_key
from shared.contracts.dead import DeadReason

OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
OBJECT = "{urn:sobject.enterprise.soap.sforce.com}"
ORGANIZATION, URL = f"{OUTBOUND}OrganizationId", f"{OUTBOUND}EnterpriseUrl"
NOTIFICATION, RECORD, ID = f"{OUTBOUND}Notification", f"{OUTBOUND}sObject", f"{OUTBOUND}Id"
TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
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
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
    encoding="utf-8",
)
# Two fields of one moment, written by one transaction.
_TOGETHER_SECONDS = 2
FIELDS = {
    "StageName": ("stage", id_of), "Name": ("name", text_of), "Amount": ("amount", amount_of),
    "CurrencyIsoCode": ("currency", currency_of), "CloseDate": ("expected_close", day_of),
    "RecordTypeId": ("pipeline", id_of),
}  # fmt: skip


class SalesforceApi(ApiSettings):
    """`token`: the consumer secret of a connected app; `url`: https://MY-DOMAIN.my.salesforce.com."""

    client_id: str = Field(min_length=1, description="the consumer key of the connected app (client credentials flow)")
    version: str = Field("v62.0", pattern=r"^v\d{2,3}\.0$", description="version of the REST API")
    record_types_stay: bool = Field(
        False, description="record types of opportunities never change: the past is told under today's, too"
    )


class SalesforceSettings(ApiSourceSettings):
    """`secrets` are keys at the end of the endpoint's address (`?key=`): Salesforce cannot sign."""

    api: SalesforceApi | None = Field(None, description="the API, for the enricher; without it nothing is asked")

    organization: str = Field(
        pattern=r"^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$", description="organization id, 15 or 18 characters from 00D"
    )


class Salesforce(Source):
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
            raise RefusedError(
                RefusalReason.WRONG_SIGNATURE,
                f"OrganizationId {found[1].decode()} is not the organization of this source; compare `organization`",
            )

    def kept(self, request: Request) -> bytes:
        # In UTF-16 no tag would be found; it is not taken, and can still be read without its zeros.
        body = request.body.replace(b"\x00", b"")
        # Most send none, and the pattern looks at every tag.
        return _SESSION.sub(rb"\1\2", body) if b"SessionId>" in body else body

    def translate(self, request: Request) -> list[Said]:
        try:
            notifications = _notifications(request.body)
        except UnclearError as error:
            return [Unclear(str(error), self.kept(request), DeadReason.BAD_SHAPE)]
        organization, host = _text(notifications, ORGANIZATION)[:18], _HOST.match(_text(notifications, URL))
        said: list[Said] = []
        for part in notifications.iterchildren(NOTIFICATION):
            try:
                said += self._of(part, organization, host[1] if host else "")
            except UnclearError as error:
                said.append(Unclear(str(error), etree.tostring(part)))
        return said or [Ignored("no-notification")]

    def _of(self, notification: etree._Element, organization: str, host: str) -> list[Said]:
        record = next(notification.iterchildren(RECORD), None)
        if record is None or len(record) == 0:
            return [Ignored("record-was-deleted-meanwhile")]
        if record.get(TYPE, "").rpartition(":")[2] != "Opportunity":
            return [Ignored("not-a-deal")]
        data = {field.tag[len(OBJECT) :]: (field.text or "").strip() or None for field in record}
        number = f"{organization}/{id_of(_text(notification, ID), 'Notification/Id')}"
        deal, time = id_of(data.get("Id"), "sf:Id"), _time(data)
        told = taken(data, FIELDS)
        if host:
            told["url"] = text_of(f"https://{host}/{deal}", "EnterpriseUrl")
        status = "won" if data.get("IsWon") == "true" else "lost" if data.get("IsClosed") == "true" else "open"
        return standing(number, deal, time, status, told, created=_is_new(data, time))


def _notifications(body: bytes) -> etree._Element:
    """The `notifications` element. Entities are not resolved, nothing is fetched, and a DTD is refused altogether."""
    try:
        envelope = etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        why = f"{type(error).__name__}: {shown(str(error))}"
        raise UnclearError(f"body: no XML in UTF-8 ({why}); an Outbound Message is expected") from None
    if envelope.getroottree().docinfo.internalDTD is not None:
        raise UnclearError("body: XML with a DTD is not taken; an Outbound Message has none")
    found: etree._Element | None = next(envelope.iter(f"{OUTBOUND}notifications"), None)
    if found is None:
        raise UnclearError("body: no notifications element; an Outbound Message is expected")
    return found


def _text(parent: etree._Element, tag: str) -> str:
    """The text of a child; empty where there is none. lxml's `findtext` takes paths, and four times as long."""
    child = next(parent.iterchildren(tag), None)
    return "" if child is None else (child.text or "").strip()


def _time(data: dict[str, str | None]) -> datetime:
    for name in ("SystemModstamp", "LastModifiedDate"):
        if data.get(name):
            return moment_of_text(data[name], f"sf:{name}")
    raise UnclearError("sf:SystemModstamp: is missing; tick it in the Outbound Message, it tells when things happened")


def _is_new(data: dict[str, str | None], time: datetime) -> bool:
    made = data.get("CreatedDate")
    return bool(made) and abs((time - moment_of_text(made, "sf:CreatedDate")).total_seconds()) <= _TOGETHER_SECONDS
