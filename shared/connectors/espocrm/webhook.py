"""EspoCRM's webhooks: arrays of opportunities, signed with each webhook's own key; its id determines the event.

Source: the code of EspoCRM's webhook sender, and its documentation; docs/sources/espocrm.md has the set-up.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.connectors.base.facts import DealFact, Ignored, Parsed, StageFact, stage_facts, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    currency_of,
    date_of,
    id_of,
    map_fields,
    object_of,
    text_of,
    utc_time_of,
)
from shared.connectors.base.json_source import JsonSource, content_id
from shared.connectors.base.settings import SourceSettings, resolve_secret
from shared.connectors.base.signatures import decode_base64, matches_any, required_header
from shared.connectors.base.source import RefusalReason, Request, Unauthenticated
from shared.contracts.events import EventType

_PIPELINE = ("pipelineStageId", "pipelineId")
SIGNATURE, LEGACY = "signature", "x-signature"
_FIELDS = {
    "stage": ("stage", id_of),
    # With pipelines, `stage` holds only the category of the stage.
    "pipelineStageId": ("stage", id_of),
    "pipelineId": ("pipeline", id_of),
    "name": ("name", text_of),
    "amount": ("amount", amount_of),
    "amountCurrency": ("currency", currency_of),
    "closeDate": ("expected_close", date_of),
}


class EspoWebhook(BaseModel):
    """One webhook of EspoCRM: its event and its secret keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["Opportunity.create", "Opportunity.update", "Opportunity.delete"]
    secrets: list[str] = Field(min_length=1)

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        return [resolve_secret(one) for one in written]


class EspoSettings(SourceSettings):
    """Each webhook of EspoCRM has its own id and secret key in `webhooks`; `secrets` stays empty."""

    secrets: list[str] = Field([], max_length=0, description="leave it empty: every webhook has its own")
    webhooks: dict[str, EspoWebhook] = Field(min_length=1, description="webhook id -> its event and secrets")
    address: str = Field(
        "", pattern=r"^(https?://[^\s#]+)?$", description="address of EspoCRM, for links to deals; empty: no links"
    )


class EspoCrmWebhook(JsonSource):
    kind: ClassVar[str] = "espocrm"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "webhooks": "Open each webhook under Administration > Webhooks: its id ends the address in the browser.",
    }
    webhook_events: ClassVar[tuple[str, ...]] = ("Opportunity.create", "Opportunity.update", "Opportunity.delete")
    setup_steps: ClassVar[str] = (
        "Administration > Webhooks: one each for Opportunity.create, Opportunity.update, "
        "Opportunity.delete with this URL; each shows its id and its secret key."
    )
    settings_type = EspoSettings
    settings: EspoSettings

    def verify(self, request: Request) -> None:
        """The webhook id in the header selects the key, and with it the event."""
        webhook = self.settings.webhooks.get(_webhook_id(request))
        if webhook is None:
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE,
                f"webhook {_webhook_id(request)[:60]!r} is not in `webhooks` of this source",
            )
        given = _decode_signature(request).partition(b":")[2]
        digests = [hmac.digest(secret.encode(), request.body, hashlib.sha256) for secret in webhook.secrets]
        expected = [digest.hex().encode() for digest in digests] if SIGNATURE in request.headers else digests
        if not matches_any(expected, [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, "the signature does not match; compare the webhook's secret key"
            )

    def translate(self, request: Request) -> list[Parsed]:
        """One request may carry several changes of a deal, all with one time: prefix ids by their position."""
        return [
            fact._replace(id=f"{position:06}/{fact.id}") if isinstance(fact, DealFact) else fact
            for position, fact in enumerate(super().translate(request))
        ]

    def split(self, document: Any) -> Sequence[Any]:
        if not isinstance(document, list):
            raise InvalidField(f"body: an array of records is expected, found {type(document).__name__}")
        return document

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        record = object_of(part, "record")
        deal = id_of(record.get("id"), "id")
        webhook = _webhook_id(request)
        event = self.settings.webhooks[webhook].event.rpartition(".")[2]
        # The body has no time; the change happened shortly before the request.
        time, event_id = request.received_at, f"{webhook}/{content_id(request, record)}"
        if event == "delete":
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if record.get("deleted") is True:
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        data = _deal_data(record)
        if self.settings.address:
            data["url"] = text_of(f"{self.settings.address}/#Opportunity/view/{deal}", "id")
        if event == "create":
            created_at = record.get("createdAt")
            time = utc_time_of(created_at, "createdAt") if created_at else time
            return [*state_facts(event_id, deal, time, "open", data, created=True), *_stage_names(record, data, time)]
        restored = record.get("deleted") is False
        if data.keys() <= {"url"} and not restored:
            return [Ignored("other-field")]
        facts = state_facts(event_id, deal, time, "open", data, restored=restored)
        return [*facts, *_stage_names(record, data, time)]


def _deal_data(record: dict[str, Any]) -> dict[str, Any]:
    has_pipelines = record.get("pipelineStageId") not in (None, "")
    fields = {name: value for name, value in record.items() if name != "stage"} if has_pipelines else record
    return map_fields({name: v for name, v in fields.items() if name not in _PIPELINE or v not in (None, "")}, _FIELDS)


def _stage_names(record: dict[str, Any], data: dict[str, Any], time: datetime) -> list[StageFact]:
    named = record if record.get("pipelineStageId") else {}
    return [
        *stage_facts(time, data, name=named.get("pipelineStageName")),
        *stage_facts(time, {"pipeline": data.get("pipeline")}, pipeline_name=record.get("pipelineName")),
    ]


def _decode_signature(request: Request) -> bytes:
    """`<webhook id>:<digest>`, decoded from base64."""
    name = SIGNATURE if SIGNATURE in request.headers else LEGACY
    return decode_base64(required_header(request.headers, name)) or b""


def _webhook_id(request: Request) -> str:
    return _decode_signature(request).partition(b":")[0].decode("latin-1")
