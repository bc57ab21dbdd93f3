"""monday.com's webhooks: column changes on a board of deals; a challenge at set-up, then a token or a key.

Source: monday.com's API reference, "Webhooks"; docs/sources/monday.md has the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

import jwt
import orjson
from pydantic import Field

from shared.connectors.base.facts import DealFact, Ignored, Parsed
from shared.connectors.base.fields import (
    InvalidField,
    amount_of,
    field_value,
    id_of,
    object_of,
    quoted,
    text_of,
    time_of,
)
from shared.connectors.base.json_body import parse_json
from shared.connectors.base.json_source import JsonSource
from shared.connectors.base.settings import SourceSettings
from shared.connectors.base.signatures import verify_key
from shared.connectors.base.source import RefusalReason, Reply, Request, Unauthenticated
from shared.contracts.events import EventType

MAX_CHALLENGE_LENGTH = 200
_CREATED = ("create_pulse", "create_item")
_DELETED = ("delete_pulse", "item_deleted", "delete_item")
_ARCHIVED = ("archive_pulse", "item_archived", "archive_item")
_RESTORED = ("restore_pulse", "item_restored", "restore_item")
_MOVED_TO_BOARD = "move_pulse_into_board"
_RENAMED = ("update_name", "change_name")
_CHANGED = ("update_column_value", "change_column_value", "change_status_column_value", "change_specific_column_value")
# Updates are comments; groups are not stages.
_IRRELEVANT = (
    *("create_update", "edit_update", "delete_update", "create_subitem_update", "create_subitem", "subitem_archived"),
    *("change_subitem_column_value", "change_subitem_name", "subitem_deleted", "move_subitem", "subitem_restored"),
    *("item_moved_to_any_group", "item_moved_to_specific_group", "move_pulse_into_group"),
)


class MondaySettings(SourceSettings):
    """`secrets` are the app's signing secret or, without an app, keys in the URL (`?key=`)."""

    board: str = Field(min_length=1, max_length=40, description="id of the board of deals")
    pipeline: str = Field(
        "", max_length=100, description="the policy's pipeline for this board; empty: the stage determines it"
    )
    stage_column: str = Field("deal_stage", min_length=1, max_length=100, description="id of the stage column")
    amount_column: str = Field("deal_value", min_length=1, max_length=100, description="id of the amount column")


class MondayWebhook(JsonSource):
    kind: ClassVar[str] = "monday"
    where_to_find: ClassVar[Mapping[str, str]] = {
        "board": "The id of the board is the number behind /boards/ in its address in the browser.",
    }
    key_in_url: ClassVar[bool] = True
    setup_steps: ClassVar[str] = (
        "On the board of deals: Integrate > Webhooks, when an item is created, when a column changes, when the name "
        "changes, when an item is deleted, when an item is archived, when an item is restored, with this URL."
    )
    settings_type = MondaySettings
    settings: MondaySettings

    @property
    def _pipeline(self) -> dict[str, Any]:
        return {"pipeline": self.settings.pipeline} if self.settings.pipeline else {}

    def challenge(self, request: Request) -> Reply | None:
        """Echo the challenge of the set-up; only a short one, because nothing is verified yet."""
        if len(request.body) > MAX_CHALLENGE_LENGTH + 100:
            return None
        try:
            document = parse_json(request.body)
        except InvalidField:
            return None
        challenge = document.get("challenge") if isinstance(document, dict) and len(document) == 1 else None
        if not isinstance(challenge, str) or len(challenge) > MAX_CHALLENGE_LENGTH:
            return None
        return Reply(200, orjson.dumps({"challenge": challenge}), "application/json")

    def verify(self, request: Request) -> None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            return verify_key(request, self.settings.secrets)
        for secret in self.settings.secrets:
            try:
                # Without an expiry, a captured token could be replayed forever.
                jwt.decode(
                    token,
                    secret,
                    algorithms=["HS256"],
                    options={"verify_aud": False, "verify_iat": False, "require": ["exp"]},
                    leeway=60,
                )
            except (jwt.PyJWTError, ValueError):
                continue
            return None
        raise Unauthenticated(
            RefusalReason.WRONG_SIGNATURE,
            "the token in header authorization is not signed with this source's `secrets`, is expired or has no `exp`",
        )

    def parse_part(self, part: Any, request: Request) -> Iterable[Parsed]:
        event = object_of(object_of(part, "body").get("event"), "event")
        kind, board = event.get("type"), id_of(event.get("boardId"), "event.boardId")
        left = kind == _MOVED_TO_BOARD and self._left(event, board)
        if board != self.settings.board and not left:
            return [Ignored("other-board")]
        if kind in _IRRELEVANT:
            return [Ignored("other-event")]
        deal = id_of(event.get("pulseId", event.get("itemId")), "event.pulseId")
        time = time_of(event.get("triggerTime"), "event.triggerTime")
        event_id = id_of(event.get("triggerUuid"), "event.triggerUuid")
        name = event.get("pulseName", event.get("itemName"))
        data = self._pipeline
        if name is not None:
            data["name"] = field_value("name", name, text_of, "event.pulseName")
        if kind in _CREATED:
            return [DealFact(EventType.CREATED, event_id, deal, time, {**data, **self._initial_columns(event)})]
        if kind in _DELETED:
            return [DealFact(EventType.DELETED, event_id, deal, time, {})]
        if kind in _ARCHIVED:
            return [DealFact(EventType.DELETED, event_id, deal, time, {"reason": "archived"})]
        if left:
            return [DealFact(EventType.DELETED, event_id, deal, time, {"reason": "moved to another board"})]
        if kind == _MOVED_TO_BOARD:
            # Where no source is named, no deal was reported as gone; reopening one could undo that it was won.
            came = EventType.REOPENED if _board(event, "source") else EventType.CHANGED
            return [DealFact(came, event_id, deal, time, data)]
        if kind in _RESTORED:
            return [DealFact(EventType.REOPENED, event_id, deal, time, data)]
        if kind in _RENAMED:
            value = object_of(event.get("value"), "event.value").get("name")
            renamed = {"name": field_value("name", value, text_of, "event.value.name")}
            return [DealFact(EventType.CHANGED, event_id, deal, time, renamed)]
        if kind not in _CHANGED:
            raise InvalidField(f"event.type: {quoted(kind)} is not known; report it to the developers of Andon")
        return [self._column_change(event, event_id, deal, time, data)]

    def _left(self, event: dict[str, Any], board: str) -> bool:
        """Whether an item moved from this board to another. `boardId` is where it went, unless a field says so."""
        source, target = _board(event, "source"), _board(event, "dest") or board
        return target != self.settings.board and self.settings.board in (source, board)

    def _initial_columns(self, event: dict[str, Any]) -> dict[str, Any]:
        """The columns that a new item was created with; monday.com does not send default labels."""
        values = event.get("columnValues")
        values = values if isinstance(values, dict) else {}
        stage, amount = _label(values.get(self.settings.stage_column)), values.get(self.settings.amount_column)
        data = {} if stage is None else {"stage": stage}
        return data if amount is None else {**data, "amount": _amount(amount)}

    def _column_change(
        self, event: dict[str, Any], event_id: str, deal: str, time: datetime, data: dict[str, Any]
    ) -> Parsed:
        column, value = event.get("columnId"), event.get("value")
        if column == self.settings.stage_column:
            # A deal whose label was cleared stays in its last known stage.
            if (stage := _label(value)) is None:
                return Ignored("no-label")
            return DealFact(EventType.MOVED, event_id, deal, time, {**data, "stage": stage})
        if column == self.settings.amount_column:
            return DealFact(EventType.CHANGED, event_id, deal, time, {**data, "amount": _amount(value)})
        return Ignored(f"other-column {quoted(column)}"[:60])


def _board(event: dict[str, Any], end: str) -> str | None:
    """The board at one end of a move, `source` or `dest`, by its id or as an object; None where it is not told."""
    told = event.get(f"{end}BoardId")
    if told is None and isinstance(whole := event.get(f"{end}Board"), dict):
        told = whole.get("id")
    return None if told is None else id_of(told, f"event.{end}BoardId")


def _label(value: Any) -> str | None:
    """The text of a status, or the name chosen in a dropdown; None if it was cleared."""
    if value is None or value == {}:
        return None
    column = object_of(value, "event.value")
    if "chosenValues" in column:
        return _chosen(column["chosenValues"])
    if "label" not in column:
        raise InvalidField(f"event.value: {quoted(value)} is neither a status nor a dropdown; set stage_column to one")
    label = column["label"]
    text = None if label is None else object_of(label, "event.value.label").get("text")
    return None if text in (None, "") else id_of(text, "event.value.label.text")


def _chosen(values: Any) -> str | None:
    if values in (None, []):
        return None
    if not isinstance(values, list) or len(values) != 1:
        raise InvalidField(f"event.value.chosenValues: {quoted(values)}; let the dropdown of stages hold one value")
    return id_of(object_of(values[0], "event.value.chosenValues").get("name"), "event.value.chosenValues.name")


def _amount(value: Any) -> Any:
    given = value.get("value") if isinstance(value, dict) else None
    return field_value("amount", given, amount_of, "event.value.value")
