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
    SENT = "sent"
    REFUSED = "refused"


class NoticeData(Message):
    """A mail server accepted a mail, or refused it for good. `detail`: its answer."""

    notice: Name
    ticket: Number
    reason: NoticeReason
    result: NoticeResult
    message_id: Words
    at: Moment
    detail: Words | None = None


class NoticeEvent(Envelope[NoticeData]):
    type: Literal["andon.notice.result"] = "andon.notice.result"
