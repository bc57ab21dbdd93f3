"""`improvement.notices`: the result of each mail about a ticket. Record key: the ticket."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from shared.contracts.envelope import Envelope, Message, Moment, Name, Number, Words


class NoticeReason(StrEnum):
    """Why a mail is sent."""

    OPENED = "opened"
    GREW = "grew"
    REOPENED = "reopened"
    CLEARED = "cleared"
    OPENED_AND_CLEARED = "opened-and-cleared"


class NoticeResult(StrEnum):
    """`waiting`: not sent yet, and tried again; a later result of the same mail replaces it. `dropped`: out of date
    before it was sent.
    """

    SENT = "sent"
    REFUSED = "refused"
    WAITING = "waiting"
    DROPPED = "dropped"


class NoticeData(Message):
    """What became of a mail: a server accepted it, refused it for good, or it waits. `detail`: the last answer.

    `key`: the ticket's problem. After Postgres was set back, another ticket may have the number.
    """

    notice: Name
    ticket: Number
    reason: NoticeReason
    result: NoticeResult
    message_id: Words
    at: Moment
    detail: Words | None = None
    key: Name | None = None


class NoticeEvent(Envelope[NoticeData]):
    type: Literal["andon.notice.result"] = "andon.notice.result"
