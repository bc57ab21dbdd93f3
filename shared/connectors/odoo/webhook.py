"""Odoo: what an automation rule sends of a lead or opportunity; a key in the address, no signature.

Source: the code of Odoo's server actions ("Send Webhook Notification"); docs/sources/odoo.md says what to click.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.json_source import (
    JsonSource,
    beside,
    day_of,
    fields_of,
    instant,
    named,
    standing,
    taken,
    unnamed,
    verify_key,
    zoneless,
)
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    Parsed,
    Request,
    SourceSettings,
    amount_of,
    id_of,
    text_of,
)
from shared.contracts.envelope import iso
from shared.contracts.events import EventType


class OdooSettings(SourceSettings):
    """`secrets` are keys at the end of the rule's address (`?key=`); `?key=...&event=delete` for a rule on deletion."""

    address: str = Field(
        "", pattern=r"^(https?://[^\s/]+)?$", description="address of Odoo, for links to deals; empty: no links"
    )


class OdooWebhook(JsonSource):
    kind: ClassVar[str] = "odoo"
    keyed: ClassVar[bool] = True
    clicks: ClassVar[str] = (
        "Developer mode, Settings > Technical > Automation Rules: model Lead/Opportunity, on save, when updating "
        "stage_id, team_id, name, expected_revenue, date_deadline, probability, active, type; Send Webhook "
        "Notification, with these fields and write_date, create_date, date_last_stage_update, date_conversion."
    )
    settings_type = OdooSettings
    settings: OdooSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        sent = fields_of(part, "body")
        document = {name: _plain(value) for name, value in sent.items()}
        if named(document.get("_model"), "_model") != "crm.lead" or document.get("type") == "lead":
            return [Ignored("not-a-deal")]
        deal = id_of(document.get("_id"), "_id")
        written = document.get("write_date")
        time = zoneless(written, "write_date") if written else request.received_at
        # One save can be told several times, each time as far as it had come, all with the same write_date: the last
        # that came is the last in order.
        save = f"{deal}/{written}/{iso(request.received_at)}" if written else unnamed(request, document)
        number = f"crm.lead/{save}"
        if request.query_string and request.query.get("event") == "delete":
            return [DealFact(EventType.DELETED, f"{number}/delete", deal, time, {})]
        told = taken(document, _FIELDS) | _entered(document)
        if self.settings.address:
            told["url"] = f"{self.settings.address}/web#id={deal}&model=crm.lead&view_type=form"
        created = bool(written) and document.get("create_date") == written
        # Stages belong to all teams.
        stage, team = _name(sent.get("stage_id")), _name(sent.get("team_id"))
        return [
            *standing(number, deal, time, _status(document), told, created),
            *beside(time, {"stage": told.get("stage")}, name=stage),
            *beside(time, {"pipeline": told.get("pipeline")}, pipeline_name=team),
        ]


def _plain(value: Any) -> Any:
    """Empty is false in Odoo; a reference is `[id, name]` in version 17, its id alone in newer ones."""
    if isinstance(value, list):
        return value[0] if value else None
    return None if value is False else value


def _name(value: Any) -> Any:
    return value[1] if isinstance(value, list) and len(value) > 1 else None


def _status(document: dict[str, Any]) -> str:
    """A probability of 100 is won; else archived is lost, whose probability 17 and 18 set to nought and 19 keeps."""
    if document.get("probability") == 100:
        return "won"
    return "lost" if "active" in document and not document["active"] else "open"


def _entered(document: dict[str, Any]) -> dict[str, str]:
    """Since when it is in its stage; time as a lead, before it became an opportunity, is none in the pipeline."""
    names = ("date_last_stage_update", "date_conversion")
    since = [instant(document[name], name) for name in names if document.get(name)]
    return {"entered_at": max(since)} if document.get("date_last_stage_update") else {}


_FIELDS = {
    "stage_id": ("stage", id_of),
    "team_id": ("pipeline", id_of),
    "name": ("name", text_of),
    "expected_revenue": ("amount", amount_of),
    "date_deadline": ("expected_close", day_of),
}
