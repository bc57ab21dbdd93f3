"""Odoo: what an automation rule sends of a lead or opportunity; a key in the address, no signature.

Source: the code of Odoo's server actions ("Send Webhook Notification"); docs/sources/odoo.md says what to click.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from services.intake.sources.base import (
    Ignored,
    Request,
    Said,
    SourceSettings,
    Told,
    amount_of,
    id_of,
    text_of,
)
from services.intake.sources.forms import JsonSource, day_of, fields_of, standing, taken, unnamed, verify_key, zoneless
from shared.contracts.events import EventType


class OdooSettings(SourceSettings):
    """`secrets` are keys at the end of the rule's address (`?key=`); `?key=...&event=delete` for a rule on deletion."""

    address: str = Field(
        "", pattern=r"^(https?://[^\s/]+)?$", description="address of Odoo, for links to deals; empty: no links"
    )


class Odoo(JsonSource):
    kind: ClassVar[str] = "odoo"
    keyed: ClassVar[bool] = True
    clicks: ClassVar[str] = (
        "Developer mode, Settings > Technical > Automation Rules: model Lead/Opportunity, on save, Send "
        "Webhook Notification, fields write_date, stage_id, team_id, name, expected_revenue, "
        "date_deadline, probability, active, type."
    )
    settings_type = OdooSettings
    settings: OdooSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)

    def said(self, part: Any, request: Request) -> Iterable[Said]:
        document = {name: _plain(value) for name, value in fields_of(part, "body").items()}
        if document.get("_model") != "crm.lead" or document.get("type") == "lead":
            return [Ignored("not-a-deal")]
        deal = id_of(document.get("_id"), "_id")
        written = document.get("write_date")
        time = zoneless(written, "write_date") if written else request.received_at
        number = f"crm.lead/{deal}/{written}" if written else f"crm.lead/{unnamed(request, document)}"
        if request.query_string and request.query.get("event") == "delete":
            return [Told(EventType.DELETED, f"{number}/delete", deal, time, {})]
        told = taken(document, _FIELDS)
        if self.settings.address:
            told["url"] = f"{self.settings.address}/web#id={deal}&model=crm.lead&view_type=form"
        return standing(number, deal, time, _status(document), told)


def _plain(value: Any) -> Any:
    """Empty is false in Odoo; a reference is `[id, name]` in version 17, its id alone in newer ones."""
    if isinstance(value, list):
        return value[0] if value else None
    return None if value is False else value


def _status(document: dict[str, Any]) -> str:
    """Archived with a probability of nought is lost; a probability of 100 is won."""
    probability = document.get("probability")
    if "active" in document and not document["active"] and not probability:
        return "lost"
    return "won" if probability == 100 else "open"


_FIELDS = {
    "stage_id": ("stage", id_of), "team_id": ("pipeline", id_of), "name": ("name", text_of),
    "expected_revenue": ("amount", amount_of), "date_deadline": ("expected_close", day_of),
}  # fmt: skip
