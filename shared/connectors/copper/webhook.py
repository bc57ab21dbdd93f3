"""Copper: which opportunities changed, and which values from what to what; a secret of our own comes back.

Source: Copper's developer documentation, "Webhooks"; docs/sources/copper.md says how to subscribe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.json_source import JsonSource, blanked, fields_of, named, standing, taken
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
    fits,
    id_of,
    json_of,
    moment_of_text,
    shown,
    text_of,
)
from shared.contracts.events import EventType

_STATUS = {"won": "won", "lost": "lost", "abandoned": "lost"}
_FIELDS = {
    "pipeline_stage_id": ("stage", id_of),
    "pipeline_id": ("pipeline", id_of),
    "name": ("name", text_of),
    "monetary_value": ("amount", amount_of),
    "close_date": ("expected_close", text_of),
}


class CopperSettings(SourceSettings):
    """`secrets` are the value that Copper was given with the subscription, and sends back."""

    secret_field: str = Field("secret_field", min_length=1, max_length=100, description="its name in the body")


class CopperWebhook(JsonSource):
    kind: ClassVar[str] = "copper"
    clicks: ClassVar[str] = (
        "POST /developer_api/v1/webhooks for type opportunity, once each with event new, update, delete, "
        'this target, and the secret as {"secret_field": ...}.'
    )
    settings_type = CopperSettings
    settings: CopperSettings

    def verify(self, request: Request) -> None:
        """The secret stands in the body, so that the body is read first; its size was limited before."""
        try:
            document = json_of(request.body)
        except InvalidField as error:
            raise Unauthenticated(RefusalReason.UNKNOWN_FORM, str(error), 415) from None
        given = document.get(self.settings.secret_field) if isinstance(document, dict) else None
        if not isinstance(given, str) or not given:
            raise Unauthenticated(
                RefusalReason.NO_SIGNATURE, f"{self.settings.secret_field}: is missing; set it with the subscription"
            )
        if not fits([secret.encode() for secret in self.settings.secrets], [given.encode("utf-8", "surrogatepass")]):
            raise Unauthenticated(
                RefusalReason.WRONG_SIGNATURE, f"{self.settings.secret_field} is not one of this source's `secrets`"
            )

    def kept(self, request: Request) -> bytes:
        return blanked(request.body, self.settings.secrets, self.settings.secret_field)

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = fields_of(part, "body")
        if named(document.get("type"), "type") != "opportunity":
            return [Ignored("not-a-deal")]
        ids = document.get("ids")
        if not isinstance(ids, list) or not ids:
            raise InvalidField(f"ids: {shown(ids)}; a list of records is expected")
        return [said for one in ids for said in self._one(document, id_of(one, "ids"))]

    def _one(self, document: dict[str, Any], deal: str) -> Iterable[Parsed]:
        what, stamp = document.get("event"), document.get("timestamp")
        time = moment_of_text(stamp, "timestamp")
        number = f"{str(document.get('subscription_id'))[:40]}/{str(what)[:20]}/{deal}/{stamp}"
        if what == "delete":
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        if what not in ("new", "update"):
            raise InvalidField(f"event: {shown(what)} is not known; new, update or delete is expected")
        changed = _news(document.get("updated_attributes"))
        status, told = _STATUS.get(str(changed.get("status")).lower(), "open"), taken(changed, _FIELDS)
        if what == "update" and "status" in changed and status == "open" and not told.get("stage"):
            # Only what changed is sent: the stage is the one before it was closed.
            return [DealFact(EventType.REOPENED, number, deal, time, told)]
        return standing(number, deal, time, status, told, created=what == "new")


def _news(changes: Any) -> dict[str, Any]:
    """The new ones of pairs of old and new."""
    found = {}
    for name, pair in (changes if isinstance(changes, dict) else {}).items():
        if not isinstance(pair, list) or len(pair) != 2:
            raise InvalidField(
                f"updated_attributes.{str(name)[:60]}: {shown(pair)}; the old and the new value are expected"
            )
        found[name] = pair[1]
    return found
