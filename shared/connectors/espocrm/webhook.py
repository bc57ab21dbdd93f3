"""EspoCRM: arrays of opportunities, signed with the key of each webhook; the body does not say what happened.

Source: the code of EspoCRM's webhook sender, and its documentation; docs/sources/espocrm.md says what to click.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.connectors.base.json_source import (
    JsonSource,
    day_of,
    fields_of,
    standing,
    taken,
    unnamed,
    zoneless,
)
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    RefusalReason,
    Request,
    SourceSettings,
    Unauthenticated,
    amount_of,
    currency_of,
    fits,
    id_of,
    resolve,
    single,
    text_of,
    unbase64,
)
from shared.contracts.events import EventType

SIGNATURE, LEGACY = "signature", "x-signature"
_FIELDS = {
    "stage": ("stage", id_of),
    "name": ("name", text_of),
    "amount": ("amount", amount_of),
    "amountCurrency": ("currency", currency_of),
    "closeDate": ("expected_close", day_of),
}


class EspoWebhook(BaseModel):
    """One webhook of EspoCRM: what it is sent for, and its secret keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: Literal["Opportunity.create", "Opportunity.update", "Opportunity.delete"]
    secrets: list[str] = Field(min_length=1)

    @field_validator("secrets")
    @classmethod
    def _resolve(cls, written: list[str]) -> list[str]:
        return [resolve(one) for one in written]


class EspoSettings(SourceSettings):
    """Each webhook of EspoCRM has an id and a secret key of its own: `webhooks` holds them, `secrets` stays empty."""

    secrets: list[str] = Field([], max_length=0, description="stays empty: every webhook has its own")
    webhooks: dict[str, EspoWebhook] = Field(min_length=1, description="by the webhook's id: its event and secrets")
    address: str = Field(
        "", pattern=r"^(https?://[^\s#]+)?$", description="address of EspoCRM, for links to deals; empty: no links"
    )


class EspoCrmWebhook(JsonSource):
    kind: ClassVar[str] = "espocrm"
    clicks: ClassVar[str] = (
        "Administration > Webhooks: one each for Opportunity.create, Opportunity.update, "
        "Opportunity.delete with this URL; each shows its id and its secret key."
    )
    settings_type = EspoSettings
    settings: EspoSettings

    def verify(self, request: Request) -> None:
        """The id in the header says which key it must be, and so what the body means."""
        hook = self.settings.webhooks.get(_hook(request))
        if hook is None:
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, f"webhook {_hook(request)[:60]!r} is not in `webhooks` of this source"
            )
        given = _decoded(request).partition(b":")[2]
        digests = [hmac.digest(secret.encode(), request.body, hashlib.sha256) for secret in hook.secrets]
        right = [digest.hex().encode() for digest in digests] if SIGNATURE in request.headers else digests
        if not fits(right, [given]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, "the signature does not fit; compare the webhook's secret key"
            )

    def translate(self, request: Request) -> list[Parsed]:
        """Changes of one deal can come in one request, all as of one time: their place in it is their order."""
        return [
            one._replace(id=f"{place:06}/{one.id}") if isinstance(one, DealFact) else one
            for place, one in enumerate(super().translate(request))
        ]

    def parts(self, document: Any) -> Iterable[Any]:
        if not isinstance(document, list):
            raise InvalidField(f"body: an array of records is expected, found {type(document).__name__}")
        return document

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        record = fields_of(part, "record")
        deal = id_of(record.get("id"), "id")
        hook = _hook(request)
        what = self.settings.webhooks[hook].event.rpartition(".")[2]
        # The body has no time: what it tells became true shortly before it came.
        time, number = request.received_at, f"{hook}/{unnamed(request, record)}"
        if what == "delete":
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        told = taken(record, _FIELDS)
        if self.settings.address:
            told["url"] = text_of(f"{self.settings.address}/#Opportunity/view/{deal}", "id")
        if what == "create":
            made = record.get("createdAt")
            return standing(number, deal, zoneless(made, "createdAt") if made else time, "open", told, created=True)
        if told.keys() <= {"url"}:
            return [Ignored("other-field")]
        return standing(number, deal, time, "open", told)


def _decoded(request: Request) -> bytes:
    name = SIGNATURE if SIGNATURE in request.headers else LEGACY
    return unbase64(single(request.headers, name)) or b""


def _hook(request: Request) -> str:
    return _decoded(request).partition(b":")[0].decode("latin-1")
