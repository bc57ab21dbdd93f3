"""Copper's webhooks: ids of opportunities with old and new values; Copper echoes a secret that we chose.

Source: Copper's developer documentation, "Webhooks"; docs/sources/copper.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.body_secret import BodySecretSource
from shared.connectors.base.facts import DealFact, Ignored, Parsed, UnreadableField, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    id_of,
    is_record_type,
    map_fields,
    object_of,
    quoted,
    text_of,
    time_of,
)
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.source import Request
from shared.contracts.events import EventType

_STATUS = {"open": "open", "won": "won", "lost": "lost", "abandoned": "lost"}
_FIELDS = {
    "pipeline_stage_id": ("stage", id_of),
    "pipeline_id": ("pipeline", id_of),
    "name": ("name", text_of),
    "monetary_value": ("amount", amount_of),
    "close_date": ("expected_close", text_of),
}
_FLOW_NAMES = ("pipeline_stage_id", "pipeline_id", "status")


class CopperSettings(SourceSettings):
    """`secrets` are the values set with the subscription; Copper sends one back in every body."""

    secret_field: str = Field("secret_field", min_length=1, max_length=100, description="name of its field in the body")


class CopperWebhook(BodySecretSource):
    kind: ClassVar[str] = "copper"
    setup_steps: ClassVar[str] = (
        "POST /developer_api/v1/webhooks for type opportunity, once each with event new, update, delete, "
        'this target, and the secret as {"secret_field": ...}.'
    )
    settings_type = CopperSettings
    settings: CopperSettings

    @property
    def secret_field(self) -> str:
        return self.settings.secret_field

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        document = object_of(part, "body")
        if not is_record_type(document.get("type"), "opportunity", "type"):
            return [Ignored("not-a-deal")]
        return self.parse_each(document.get("ids"), partial(self._facts, document), request)

    def _facts(self, document: dict[str, Any], deal: str) -> Iterable[Parsed]:
        event, stamp = document.get("event"), document.get("timestamp")
        time = time_of(stamp, "timestamp")
        event_id = f"{str(document.get('subscription_id'))[:40]}/{str(event)[:20]}/{deal}/{stamp}"
        if event == "delete":
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if event not in ("new", "update"):
            raise InvalidField(f"event: {quoted(event)} is not known; new, update or delete is expected")
        changed = _new_values(document.get("updated_attributes"))
        status, data = _status(changed), map_fields(changed, _FIELDS) | _unreadable(document.get("updated_attributes"))
        if event == "update" and "status" in changed and status == "open" and not data.get("stage"):
            # Copper sends only changes: the deal is back in the stage in which it was closed.
            return [DealFact(EventType.REOPENED, event_id, deal, time, data)]
        return state_facts(event_id, deal, time, status, data, created=event == "new")


def _status(changed: dict[str, Any]) -> str:
    if (given := changed.get("status")) is None:
        return "open"
    if (status := _STATUS.get(str(given).lower())) is None:
        raise InvalidField(f"updated_attributes.status: {quoted(given)} is not known; {', '.join(_STATUS)} is expected")
    return status


def _new_values(changes: Any) -> dict[str, Any]:
    """The new value of each pair of old and new. Ignores custom fields, which have other forms."""
    found: dict[str, Any] = {}
    changes = changes if isinstance(changes, dict) else {}
    for name in (*_FIELDS, "status"):
        if (pair := changes.get(name)) is None:
            continue
        if _is_pair(pair):
            found[name] = pair[1]
        elif name in _FLOW_NAMES:
            raise InvalidField(_no_pair(name, pair))
    return found


def _unreadable(changes: Any) -> dict[str, Any]:
    """The changed fields that do not decide the flow and are no pairs: they are left out of the event."""
    changes = changes if isinstance(changes, dict) else {}
    return {
        ours: UnreadableField(_no_pair(name, changes[name]))
        for name, (ours, _) in _FIELDS.items()
        if changes.get(name) is not None and not _is_pair(changes[name]) and name not in _FLOW_NAMES
    }


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def _no_pair(name: str, value: Any) -> str:
    return f"updated_attributes.{name}: {quoted(value)}; the old and the new value are expected"
