"""Microsoft Dynamics 365 / Dataverse: the execution context of a plug-in step; a key, no signature.

Source: Microsoft's "Use webhooks to create external handlers for server events"; docs/sources/dynamics.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Invalid, Parsed, stage_facts, state_facts
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    id_of,
    is_record_type,
    map_fields,
    object_of,
    quoted,
    text_of,
    time_of_ms,
    utc_time_of,
)
from shared.connectors.base.json_source import JsonSource
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import verify_key
from shared.connectors.base.source import Request
from shared.contracts.dead import DeadReason
from shared.contracts.envelope import compact, iso
from shared.contracts.events import EventType

_DATE = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/")
# The operation id of synchronous steps; only asynchronous steps get their own.
_NO_OPERATION = "00000000-0000-0000-0000-000000000000"
_STATES = {0: "open", 1: "won", 2: "lost"}
_CLOSED = {"Win": EventType.WON, "Lose": EventType.LOST}
_STATE_MESSAGES = ("Create", "Update", "SetState", "SetStateDynamicEntity", "Assign", "Restore")
_PROCESS, _PROCESS_STAGE = "opportunitysalesprocess", "activestageid"


class DynamicsSettings(SourceSettings):
    """`secrets` are the webhook key (`?code=`) or the value of the header `x-webhook-key`."""

    max_bytes: int = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Dynamics sends at most 256 KB")
    stage_field: str = Field(
        "stepname",
        pattern=r"^[a-z0-9_]{1,100}$",
        description="column that holds the stage; activestageid: the stage of the business process flow",
    )
    address: str = Field(
        "", pattern=r"^(https://[^\s/]+)?$", description="https://ORGANIZATION.crm.dynamics.com, for links to deals"
    )


class DynamicsWebhook(JsonSource):
    kind: ClassVar[str] = "dynamics"
    setup_steps: ClassVar[str] = (
        "Plug-in Registration Tool > Register > New Web Hook, authentication WebhookKey with the secret; "
        "asynchronous steps on opportunity for Create, Update, Delete, Win, Lose and, where it exists, Restore; on "
        "Create and Update with a post-image named post of stepname, statecode, name, estimatedvalue, "
        "estimatedclosedate."
    )
    settings_type = DynamicsSettings
    settings: DynamicsSettings

    def verify(self, request: Request) -> None:
        verify_key(request, self.settings.secrets, ("x-webhook-key", "x-andon-key"), ("code", "key"))

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        context = object_of(part, "body")
        entity = context.get("PrimaryEntityName")
        if entity == _PROCESS:
            return self._process_facts(context)
        if not is_record_type(entity, "opportunity", "PrimaryEntityName"):
            return [Ignored("not-a-deal")]
        deal, message = id_of(context.get("PrimaryEntityId"), "PrimaryEntityId"), str(context.get("MessageName"))
        time, event_id = _time_of(context.get("OperationCreatedOn"), "OperationCreatedOn"), _event_id(context)
        if message == "Delete":
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if message in _CLOSED:
            data = _closing_data(message, context.get("InputParameters"))
            return [DealFact(_CLOSED[message], event_id, deal, time, data)]
        if "x-ms-dynamics-msg-size-exceeded" in request.headers or "InputParameters" not in context:
            detail = f"opportunity {deal}: larger than 256 KB, so Dynamics sent no columns; choose fewer in the images"
            return [Invalid(detail, compact(part), DeadReason.TOO_LARGE)]
        if message not in _STATE_MESSAGES:
            raise InvalidField(
                f"MessageName: {quoted(message)} is not known; register steps for the messages of the docs"
            )
        return self._state_facts(context, event_id, deal, time, message)

    def _state_facts(
        self, context: dict[str, Any], event_id: str, deal: str, time: datetime, message: str
    ) -> Iterable[Parsed]:
        columns = {**_columns(context.get("PostEntityImages")), **_columns(context["InputParameters"])}
        columns |= _set_state(context["InputParameters"])
        column = self.settings.stage_field
        label = _label(context["InputParameters"], column) or _label(context.get("PostEntityImages"), column)
        data, status = self._deal_data(columns, deal), _status(columns)
        names = stage_facts(time, data, name=label)
        if status == "open" and "statecode" in columns and not data.get("stage") and message != "Create":
            # Open, or reopened in its last stage.
            return [DealFact(EventType.REOPENED, event_id, deal, time, data), *names]
        restored = message == "Restore"
        return [*state_facts(event_id, deal, time, status, data, message == "Create", restored), *names]

    def _process_facts(self, context: dict[str, Any]) -> Iterable[Parsed]:
        """A move in the business process flow: the stage is that of the process, if the settings say so."""
        if self.settings.stage_field != _PROCESS_STAGE:
            raise InvalidField(
                f"PrimaryEntityName: {_PROCESS} is read only with stage_field: {_PROCESS_STAGE};"
                " set it, or remove the step"
            )
        message = str(context.get("MessageName"))
        if message == "Delete":
            return [Ignored("process-deleted")]
        if message not in ("Create", "Update"):
            raise InvalidField(f"MessageName: {quoted(message)} is not known; Create or Update is expected")
        time, event_id = _time_of(context.get("OperationCreatedOn"), "OperationCreatedOn"), _event_id(context)
        entities = [context.get("PostEntityImages"), context.get("InputParameters")]
        columns = {**_columns(entities[0]), **_columns(entities[1])}
        deal, stage = (id_of(columns.get(name), name) for name in ("opportunityid", _PROCESS_STAGE))
        label = _reference_name(entities[1], _PROCESS_STAGE) or _reference_name(entities[0], _PROCESS_STAGE)
        moved = DealFact(EventType.MOVED, event_id, deal, time, {"stage": stage})
        return [moved, *stage_facts(time, moved.data, name=label)]

    def _deal_data(self, columns: dict[str, Any], deal: str) -> dict[str, Any]:
        data = map_fields(columns, {**_FIELDS, self.settings.stage_field: ("stage", id_of)})
        if self.settings.address:
            data["url"] = f"{self.settings.address}/main.aspx?etn=opportunity&pagetype=entityrecord&id={deal}"
        return data


def _status(columns: dict[str, Any]) -> str:
    state = columns.get("statecode", 0)
    if not isinstance(state, int) or state not in _STATES:
        raise InvalidField(f"statecode: {quoted(state)} is not known; 0, 1 or 2 is expected")
    return _STATES[state]


def _closing_data(message: str, parameters: Any) -> dict[str, Any]:
    """Fields of the closing activity. The actual revenue of a lost deal is 0: ignore it, the deal was worth more."""
    fields = {"subject": ("reason", text_of)} | ({"actualrevenue": ("amount", amount_of)} if message == "Win" else {})
    return map_fields(_columns(parameters, "OpportunityClose"), fields)


def _set_state(parameters: Any) -> dict[str, Any]:
    """`SetState` sends the state as a parameter, not in the record."""
    for entry in parameters if isinstance(parameters, list) else ():
        if isinstance(entry, dict) and entry.get("key") == "State":
            return {"statecode": _plain(entry.get("value"))}
    return {}


def _columns(listed: Any, key: str | None = None) -> dict[str, Any]:
    """The columns of the entities in a list of keys and values; typed values are unwrapped."""
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
    """The display text of a column's value, if an entity of the list has it."""
    for entry in listed if isinstance(listed, list) else ():
        entity = entry.get("value") if isinstance(entry, dict) else None
        formatted = entity.get("FormattedValues") if isinstance(entity, dict) else None
        for one in formatted if isinstance(formatted, list) else ():
            if isinstance(one, dict) and one.get("key") == column:
                return one.get("value")
    return None


def _reference_name(listed: Any, column: str) -> Any:
    """The name of the record that a column refers to, if an entity of the list has it."""
    for entry in listed if isinstance(listed, list) else ():
        entity = entry.get("value") if isinstance(entry, dict) else None
        attributes = entity.get("Attributes") if isinstance(entity, dict) else None
        for one in attributes if isinstance(attributes, list) else ():
            if isinstance(one, dict) and one.get("key") == column and isinstance(one.get("value"), dict):
                return one["value"].get("Name")
    return None


def _plain(value: Any) -> Any:
    """Money and option sets have a Value, references have an Id."""
    if isinstance(value, dict):
        return value.get("Value", value.get("Id"))
    return value


def _time_of(value: Any, field: str) -> datetime:
    """`/Date(ms)/`, possibly with an offset that does not change the instant, or ISO 8601."""
    match = _DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return utc_time_of(value, field)
    return time_of_ms(match[1], field)


def _date_of(value: Any, field: str) -> str:
    return iso(_time_of(value, field))[:10]


_FIELDS = {
    "name": ("name", text_of),
    "estimatedvalue": ("amount", amount_of),
    "estimatedclosedate": ("expected_close", _date_of),
}


def _event_id(context: dict[str, Any]) -> str:
    extension = context.get("OwningExtension")
    step = extension.get("Id") if isinstance(extension, dict) else None
    organization, operation = id_of(context.get("OrganizationId"), "OrganizationId"), context.get("OperationId")
    if operation == _NO_OPERATION:
        raise InvalidField("OperationId: is empty; register the step as asynchronous, other steps have no id")
    return f"{organization}/{id_of(operation, 'OperationId')}/{str(step)[:80]}"
