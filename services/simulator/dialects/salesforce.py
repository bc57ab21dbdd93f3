"""Salesforce Outbound Messages: the current state of an opportunity, in SOAP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from services.simulator.dialects.base import Dialect, SimulatedDeal, Webhook, z
from services.simulator.model import DealChange

ORGANIZATION = "00D5g000004T0CkEAK"
_ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" \
xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
 <soapenv:Body>
  <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
   <OrganizationId>{organization}</OrganizationId>
   <ActionId>04k5g000000GmaVAAS</ActionId>
   <SessionId xsi:nil="true"/>
   <EnterpriseUrl>https://example-org.my.salesforce.com/services/Soap/c/62.0/00D5g000004T0Ck</EnterpriseUrl>
   <PartnerUrl>https://example-org.my.salesforce.com/services/Soap/u/62.0/00D5g000004T0Ck</PartnerUrl>
   <Notification>
    <Id>{number}</Id>
    <sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
{fields}
    </sObject>
   </Notification>
  </notifications>
 </soapenv:Body>
</soapenv:Envelope>"""


class SalesforceDialect(Dialect):
    kind: ClassVar[str] = "salesforce"
    settings = {"organization": ORGANIZATION}  # noqa: RUF012 (as declared by the base)

    def describe(self, change: DealChange, before: SimulatedDeal, deal: SimulatedDeal) -> Iterator[Any]:
        # Salesforce sends the id first, then the fields in alphabetical order.
        values = {
            "Id": f"006{deal.id:012d}",
            "Amount": deal.amount,
            "CloseDate": deal.expected_close and deal.expected_close.date().isoformat(),
            "CreatedDate": deal.created_at and z(deal.created_at),
            "IsClosed": str(deal.status != "open").lower(),
            "IsWon": str(deal.status == "won").lower(),
            "LastModifiedDate": z(change.time),
            "Name": deal.name,
            "RecordTypeId": deal.pipeline,
            "StageName": deal.stage_or_outcome,
            "SystemModstamp": z(change.time),
        }
        fields = "\n".join(f"     <sf:{n}>{escape(str(v))}</sf:{n}>" for n, v in values.items() if v)
        yield _ENVELOPE.format(organization=ORGANIZATION, number=f"04l{self.count:015d}", fields=fields)

    def body(self, document: Any, attempt: int = 0) -> bytes:
        return str(document).encode()

    def sign(self, body: bytes, now: datetime) -> Webhook:
        return Webhook(body, {"Content-Type": "text/xml; charset=utf-8"}, f"key={self.key}")
