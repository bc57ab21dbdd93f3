"""Microsoft Dynamics 365 / Dataverse: the execution context of a step on opportunities; a key, no signature.

Source: Microsoft's "Use webhooks to create external handlers for server events"; docs/sources/dynamics.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.json_source import (
    JsonSource,
    beside,
    fields_of,
    named,
    standing,
    taken,
    verify_key,
    zoneless,
)
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    Invalid,
    InvalidField,
    Parsed,
    Request,
    SourceSettings,
    amount_of,
    id_of,
    raw,
    shown,
    text_of,
)
from shared.contracts.dead import DeadReason
from shared.contracts.envelope import iso
from shared.contracts.events import EventType

_DATE = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Only asynchronous steps are jobs, and have a number.
_NO_OPERATION = "00000000-0000-0000-0000-000000000000"
_STATES = {0: "open", 1: "won", 2: "lost"}
_CLOSED = {"Win": EventType.WON, "Lose": EventType.LOST}
_STATED = ("Create", "Update", "SetState", "SetStateDynamicEntity", "Assign")


class DynamicsSettings(SourceSettings):
    """`secrets` are the webhook key (`?code=`) or the value of the header `x-webhook-key`."""

    max_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Dynamics sends at most 256 KB")
    stage_field: str = Field("stepname", pattern=r"^[a-z0-9_]{1,100}$", description="column that holds the stage")
    address: str = Field(
        "", pattern=r"^(https://[^\s/]+)?$", description="https://ORGANIZATION.crm.dynamics.com, for links to deals"
    )


class DynamicsWebhook(JsonSource):
    kind: ClassVar[str] = "dynamics"
    clicks: ClassVar[str] = (
        "Plug-in Registration Tool > Register > New Web Hook, authentication WebhookKey with the secret; "
        "asynchronous steps on opportunity for Create, Update, Delete, Win, Lose, with a post-image on "
        "Create and Update."
    )
    settings_type = DynamicsSettings
    settings: DynamicsSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets, ("x-webhook-key", "x-andon-key"), ("code", "key"))

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        context = fields_of(part, "body")
        if named(context.get("PrimaryEntityName"), "PrimaryEntityName") != "opportunity":
            return [Ignored("not-a-deal")]
        deal, message = id_of(context.get("PrimaryEntityId"), "PrimaryEntityId"), str(context.get("MessageName"))
        time, number = _moment(context.get("OperationCreatedOn"), "OperationCreatedOn"), _number(context)
        if message == "Delete":
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        if message in _CLOSED:
            return [DealFact(_CLOSED[message], number, deal, time, _closing(message, context.get("InputParameters")))]
        if "x-ms-dynamics-msg-size-exceeded" in request.headers or "InputParameters" not in context:
            detail = f"opportunity {deal}: larger than 256 KB, so Dynamics sent no columns; choose fewer in the images"
            return [Invalid(detail, raw(part), DeadReason.TOO_LARGE)]
        if message not in _STATED:
            return [Ignored("other-message")]
        columns = {**_columns(context.get("PostEntityImages")), **_columns(context["InputParameters"])}
        columns |= _state(context["InputParameters"])
        column = self.settings.stage_field
        label = _label(context["InputParameters"], column) or _label(context.get("PostEntityImages"), column)
        stage = columns.get(column)
        return [
            *self._standing(columns, number, deal, time, created=message == "Create"),
            *beside(time, {} if stage is None else {"stage": str(stage)}, name=label),
        ]

    def _standing(
        self, columns: dict[str, Any], number: str, deal: str, time: datetime, created: bool
    ) -> Iterable[Parsed]:
        state = columns.get("statecode", 0)
        if not isinstance(state, int) or state not in _STATES:
            raise InvalidField(f"statecode: {shown(state)} is not known; 0, 1 or 2 is expected")
        told = taken(columns, {**_FIELDS, self.settings.stage_field: ("stage", id_of)})
        if self.settings.address:
            told["url"] = f"{self.settings.address}/main.aspx?etn=opportunity&pagetype=entityrecord&id={deal}"
        return standing(number, deal, time, _STATES[state], told, created)


def _closing(message: str, listed: Any) -> dict[str, Any]:
    """What is told with a closing. What came in for a lost deal is nought: it was worth more."""
    fields = {"subject": ("reason", text_of)} | ({"actualrevenue": ("amount", amount_of)} if message == "Win" else {})
    return taken(_columns(listed, "OpportunityClose"), fields)


def _state(listed: Any) -> dict[str, Any]:
    """`SetState` tells the state beside the record."""
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("key") == "State":
            return {"statecode": _plain(entry.get("value"))}
    return {}


def _columns(listed: Any, key: str | None = None) -> dict[str, Any]:
    """The columns of the entities in a list of key and value; typed values as what they hold."""
    return dict(_pairs(listed, key))


def _pairs(listed: Any, wanted: str | None) -> Iterator[tuple[str, Any]]:
    for entry in listed if isinstance(listed, list) else ():
        entity = entry.get("value") if isinstance(entry, dict) else None
        if not isinstance(entity, dict) or (wanted is not None and entry.get("key") != wanted):
            continue
        attributes = entity.get("Attributes")
        for one in attributes if isinstance(attributes, list) else ():
            if isinstance(one, dict) and isinstance(one.get("key"), str):
                yield one["key"], _plain(one.get("value"))


def _label(listed: Any, column: str) -> Any:
    """What people see for the value of a column, where an entity of the list tells it."""
    for entry in listed if isinstance(listed, list) else ():
        entity = entry.get("value") if isinstance(entry, dict) else None
        formatted = entity.get("FormattedValues") if isinstance(entity, dict) else None
        for one in formatted if isinstance(formatted, list) else ():
            if isinstance(one, dict) and one.get("key") == column:
                return one.get("value")
    return None


def _plain(value: Any) -> Any:
    """Money and option sets hold a Value, references an Id."""
    if isinstance(value, dict):
        return value.get("Value", value.get("Id"))
    return value


def _moment(value: Any, field: str) -> datetime:
    """`/Date(ms)/`, with an offset that is for show only, or ISO 8601."""
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return zoneless(value, field)
    try:
        return _EPOCH + timedelta(milliseconds=int(match[1]))
    except OverflowError:
        raise InvalidField(f"{field}: {shown(value)} is no time; milliseconds since 1970 are expected") from None


def _day(value: Any, field: str) -> str:
    return iso(_moment(value, field))[:10]


_FIELDS = {
    "name": ("name", text_of),
    "estimatedvalue": ("amount", amount_of),
    "estimatedclosedate": ("expected_close", _day),
}


def _number(context: dict[str, Any]) -> str:
    extension = context.get("OwningExtension")
    step = extension.get("Id") if isinstance(extension, dict) else None
    organization, operation = id_of(context.get("OrganizationId"), "OrganizationId"), context.get("OperationId")
    if operation == _NO_OPERATION:
        raise InvalidField("OperationId: is empty; register the step as asynchronous, others cannot be told apart")
    return f"{organization}/{id_of(operation, 'OperationId')}/{str(step)[:80]}"
