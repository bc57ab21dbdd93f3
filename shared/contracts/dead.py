"""`<topic>.dead`: what could not be handled, as it was, with the reason and the place. Record key: as the source's."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.contracts.envelope import Envelope, Message, Moment

DEAD_TYPE = "andon.dead.letter"


class DeadReason(StrEnum):
    """`handler`: it was understood, and handling it failed."""

    NOT_JSON = "not-json"
    BAD_SHAPE = "bad-shape"
    UNTRANSLATABLE = "untranslatable"
    IN_THE_FUTURE = "in-the-future"
    TOO_LARGE = "too-large"
    HANDLER = "handler"


class DeadData(Message):
    """The record as it was (`body` in base64), why it could not be handled, and where it lay.

    `place` is `topic/partition/offset`, or `intake/<source>/<index in the request>` for what never reached a topic.
    """

    topic: str
    reason: DeadReason
    detail: str
    place: str
    body: str
    key: str | None = None
    key_base64: str | None = Field(
        None, description="the key's bytes; null: it had none, or the letter is from before this field"
    )
    headers: dict[str, str | None] = Field(default_factory=dict, description="null: the header had no value")
    whole: bool = Field(True, description="false: body, key or headers are cut, as `detail` says")
    first_attempt_at: Moment
    last_attempt_at: Moment


class DeadEvent(Envelope[DeadData]):
    type: str = DEAD_TYPE
