"""monday.com: changes of columns on a board of deals; a challenge at set-up, a token or a key afterwards.

Source: monday.com's API reference, "Webhooks"; docs/sources/monday.md says what to click.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, ClassVar

import jwt
import orjson
from pydantic import Field

from shared.connectors.base.json_source import JsonSource, fields_of, verify_key
from shared.connectors.base.source import (
    DealFact,
    Ignored,
    InvalidField,
    Parsed,
    RefusalReason,
    Reply,
    Request,
    SourceSettings,
    Unauthenticated,
    amount_of,
    id_of,
    json_of,
    moment_of_text,
    shown,
    text_of,
)
from shared.contracts.events import EventType

LONGEST_CHALLENGE = 200
_MADE = ("create_pulse", "create_item")
_GONE = ("delete_pulse", "item_deleted", "delete_item", "archive_pulse", "item_archived")
_NAMED = ("update_name", "change_name")
_CHANGED = ("update_column_value", "change_column_value", "change_status_column_value", "change_specific_column_value")


class MondaySettings(SourceSettings):
    """`secrets` are the app's signing secret, or keys at the end of the address (`?key=`) without an app."""

    board: str = Field(min_length=1, max_length=40, description="id of the board of deals")
    pipeline: str = Field("", max_length=100, description="the policy's pipeline of this board; empty: the stage tells")
    stage_column: str = Field("deal_stage", min_length=1, max_length=100, description="id of the column of the stage")
    amount_column: str = Field("deal_value", min_length=1, max_length=100, description="id of the column of the amount")


class MondayWebhook(JsonSource):
    kind: ClassVar[str] = "monday"
    keyed: ClassVar[bool] = True
    clicks: ClassVar[str] = (
        "On the board of deals: Integrate > Webhooks, when an item is created, when a column changes, when the name "
        "changes, when an item is deleted, when an item is archived, with this URL."
    )
    settings_type = MondaySettings
    settings: MondaySettings

    @property
    def _pipeline(self) -> dict[str, Any]:
        return {"pipeline": self.settings.pipeline} if self.settings.pipeline else {}

    def challenge(self, request: Request) -> Reply | None:
        """The set-up asks for its own words back, before anything is proved: short ones only."""
        if len(request.body) > LONGEST_CHALLENGE + 100:
            return None
        try:
            document = json_of(request.body)
        except InvalidField:
            return None
        words = document.get("challenge") if isinstance(document, dict) and len(document) == 1 else None
        if not isinstance(words, str) or len(words) > LONGEST_CHALLENGE:
            return None
        return Reply(200, orjson.dumps({"challenge": words}), "application/json")

    def verify(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            return verify_key(request, self.settings.secrets)
        for secret in self.settings.secrets:
            try:
                jwt.decode(
                    token, secret, algorithms=["HS256"], options={"verify_aud": False, "verify_iat": False}, leeway=60
                )
            except (jwt.PyJWTError, ValueError):
                continue
            return None
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE, "the token in header authorization is not signed by this source's `secrets`"
        )

    def said(self, part: Any, request: Request) -> Iterable[Parsed]:
        event = fields_of(fields_of(part, "body").get("event"), "event")
        if id_of(event.get("boardId"), "event.boardId") != self.settings.board:
            return [Ignored("other-board")]
        what = event.get("type")
        deal = id_of(event.get("pulseId", event.get("itemId")), "event.pulseId")
        time = moment_of_text(event.get("triggerTime"), "event.triggerTime")
        number = id_of(event.get("triggerUuid"), "event.triggerUuid")
        name = event.get("pulseName", event.get("itemName"))
        named = {"name": text_of(name, "event.pulseName")} if name is not None else {}
        if what in _MADE:
            return [
                DealFact(EventType.CREATED, number, deal, time, {**self._pipeline, **named, **self._columns(event)})
            ]
        if what in _GONE:
            return [DealFact(EventType.DELETED, number, deal, time, {})]
        if what in _NAMED:
            value = fields_of(event.get("value"), "event.value").get("name")
            return [DealFact(EventType.CHANGED, number, deal, time, {"name": text_of(value, "event.value.name")})]
        return [self._column(event, number, deal, time, named)] if what in _CHANGED else [Ignored("other-event")]

    def _columns(self, event: dict[str, Any]) -> dict[str, Any]:
        """What a new item was filled with; a label that it has by default is not told."""
        values = event.get("columnValues")
        values = values if isinstance(values, dict) else {}
        stage, amount = _label(values.get(self.settings.stage_column)), values.get(self.settings.amount_column)
        told = {} if stage is None else {"stage": stage}
        return told if amount is None else {**told, "amount": _amount(amount)}

    def _column(self, event: dict[str, Any], number: str, deal: str, time: datetime, named: dict[str, Any]) -> Parsed:
        column, value = event.get("columnId"), event.get("value")
        told = {**self._pipeline, **named}
        if column == self.settings.stage_column:
            stage = _label(value)
            # Without a label it is in no stage: it stays in the last one that is known.
            return (
                Ignored("no-label")
                if stage is None
                else DealFact(EventType.MOVED, number, deal, time, {**told, "stage": stage})
            )
        if column == self.settings.amount_column:
            return DealFact(EventType.CHANGED, number, deal, time, {**told, "amount": _amount(value)})
        return Ignored(f"other-column {shown(column)}"[:60])


def _label(value: Any) -> str | None:
    """The text of a status; None where it was emptied."""
    if value is None:
        return None
    label = fields_of(value, "event.value").get("label")
    text = None if label is None else fields_of(label, "event.value.label").get("text")
    return None if text in (None, "") else id_of(text, "event.value.label.text")


def _amount(value: Any) -> str | None:
    given = value.get("value") if isinstance(value, dict) else None
    return None if given is None else amount_of(given, "event.value.value")
