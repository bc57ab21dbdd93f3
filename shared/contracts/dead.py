"""`<topic>.dead`: records that could not be handled, unchanged, with the reason. Record key: as the record's."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.contracts.envelope import Envelope, Message, Moment

DEAD_TYPE = "andon.dead.letter"


class DeadReason(StrEnum):
    """Why a record is a dead letter. `handler`: it was decoded, and handling it failed."""

    NOT_JSON = "not-json"
    BAD_SHAPE = "bad-shape"
    UNTRANSLATABLE = "untranslatable"
    IN_THE_FUTURE = "in-the-future"
    TOO_LARGE = "too-large"
    HANDLER = "handler"


class DeadData(Message):
    """The record as it was (`body` in base64), why it could not be handled, and where it was.

    `place` is `topic/partition/offset`; or `intake/<source>/<index in the request>`, if it never reached a topic.
    """

    topic: str
    reason: DeadReason
    detail: str
    place: str
    body: str
    key: str | None = None
    key_base64: str | None = Field(
        None, description="the key in base64; null: the record had no key, or the dead letter is older than this field"
    )
    headers: dict[str, str | None] = Field(
        default_factory=dict, description="headers of the record; null: a header without a value"
    )
    whole: bool = Field(True, description="false: body, key or headers are truncated, see `detail`")
    first_attempt_at: Moment
    last_attempt_at: Moment


class DeadEvent(Envelope[DeadData]):
    type: str = DEAD_TYPE
