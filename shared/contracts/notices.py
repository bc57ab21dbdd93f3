"""`improvement.notices`: what became of each mail about a ticket. Record key: the ticket."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from shared.contracts.envelope import Envelope, Message, Moment, Name, Number, Words


class NoticeReason(StrEnum):
    """Why somebody is told."""

    OPENED = "opened"
    GREW = "grew"
    REOPENED = "reopened"
    CLEARED = "cleared"
    OPENED_AND_CLEARED = "opened-and-cleared"


class NoticeResult(StrEnum):
    SENT = "sent"
    REFUSED = "refused"


class NoticeData(Message):
    """A mail was taken by the server, or refused for good (`detail` holds the server's answer)."""

    notice: Name
    ticket: Number
    reason: NoticeReason
    result: NoticeResult
    message_id: Words
    at: Moment
    detail: Words | None = None


class NoticeEvent(Envelope[NoticeData]):
    type: Literal["andon.notice.result"] = "andon.notice.result"
