"""Odoo's automation rules: fields of a lead or opportunity; a key in the URL, no signature.

Source: the code of Odoo's server actions ("Send Webhook Notification"); docs/sources/odoo.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Parsed, UnreadableField, stage_facts, state_facts
from shared.connectors.base.fields import (
    amount_of,
    date_of,
    field_value,
    id_of,
    is_record_type,
    map_fields,
    object_of,
    text_of,
    utc_text_of,
    utc_time_of,
)
from shared.connectors.base.json_source import JsonSource, content_id
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import verify_key
from shared.connectors.base.source import Request
from shared.contracts.envelope import iso
from shared.contracts.events import EventType


class OdooSettings(SourceSettings):
    """`secrets` are keys in the rule's URL: `?key=...`, or `?key=...&event=delete` for a rule on deletion."""

    address: str = Field(
        "", pattern=r"^(https?://[^\s/]+)?$", description="address of Odoo, for links to deals; empty: no links"
    )


class OdooWebhook(JsonSource):
    kind: ClassVar[str] = "odoo"
    key_in_url: ClassVar[bool] = True
    setup_steps: ClassVar[str] = (
        "Developer mode, Settings > Technical > Automation Rules: model Lead/Opportunity, on save, when updating "
        "stage_id, team_id, name, expected_revenue, date_deadline, probability, active, type; Send Webhook "
        "Notification, with these fields and write_date, create_date, date_last_stage_update, date_conversion. "
        "A second rule on deletion, with &event=delete at the end of the URL."
    )
    settings_type = OdooSettings
    settings: OdooSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets)

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        raw = object_of(part, "body")
        document = {name: _plain(value) for name, value in raw.items()}
        if not is_record_type(document.get("_model"), "crm.lead", "_model") or document.get("type") == "lead":
            return [Ignored("not-a-deal")]
        deal = id_of(document.get("_id"), "_id")
        written = document.get("write_date")
        time = utc_time_of(written, "write_date") if written else request.received_at
        # Odoo may send one save several times, with partial states and the same write_date: the latest arrival wins.
        save = f"{deal}/{written}/{iso(request.received_at)}" if written else content_id(request, document)
        event_id = f"crm.lead/{save}"
        if request.query_string and request.query.get("event") == "delete":
            return [DealFact(EventType.DELETED, f"{event_id}/delete", deal, time, {})]
        data = map_fields(document, _FIELDS) | _entered_at(document)
        if self.settings.address:
            data["url"] = f"{self.settings.address}/web#id={deal}&model=crm.lead&view_type=form"
        created = bool(written) and document.get("create_date") == written
        # Stages are shared by all teams, so a stage has no pipeline here.
        stage, team = _name(raw.get("stage_id")), _name(raw.get("team_id"))
        return [
            *_state_facts(event_id, deal, time, document, data, created),
            *stage_facts(time, {"stage": data.get("stage")}, name=stage),
            *stage_facts(time, {"pipeline": data.get("pipeline")}, pipeline_name=team),
        ]


def _state_facts(
    event_id: str, deal: str, time: datetime, document: dict[str, Any], data: dict[str, Any], created: bool
) -> list[Parsed]:
    status = _status(document)
    if status == "open" and document.get("active") is True and not data.get("stage") and not created:
        # Restored, by a rule that does not send the stage.
        return [DealFact(EventType.REOPENED, event_id, deal, time, data)]
    return state_facts(event_id, deal, time, status, data, created)


def _plain(value: Any) -> Any:
    """Odoo sends false for an empty value; a reference is `[id, name]` in version 17, only the id in newer ones."""
    if isinstance(value, list):
        return value[0] if value else None
    return None if value is False else value


def _name(value: Any) -> Any:
    return value[1] if isinstance(value, list) and len(value) > 1 else None


def _status(document: dict[str, Any]) -> str:
    """Won: a probability of 100. Lost: archived; versions 17 and 18 then set the probability to 0, 19 keeps it."""
    if document.get("probability") == 100:
        return "won"
    return "lost" if "active" in document and not document["active"] else "open"


def _entered_at(document: dict[str, Any]) -> dict[str, Any]:
    """When it entered its stage, at the earliest when it became an opportunity: time as a lead does not count."""
    if not document.get("date_last_stage_update"):
        return {}
    names = ("date_last_stage_update", "date_conversion")
    times = [field_value("entered_at", document[name], utc_text_of, name) for name in names if document.get(name)]
    unreadable = [time for time in times if isinstance(time, UnreadableField)]
    return {"entered_at": unreadable[0] if unreadable else max(times)}


_FIELDS = {
    "stage_id": ("stage", id_of),
    "team_id": ("pipeline", id_of),
    "name": ("name", text_of),
    "expected_revenue": ("amount", amount_of),
    "date_deadline": ("expected_close", date_of),
}
