"""`improvement.notices`: the result of each mail about a ticket. Record key: the ticket."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from shared.contracts.envelope import Envelope, Message, Moment, Name, Number, Words


class NoticeReason(StrEnum):
    """Why a mail is sent.

    `plan-due`: a task of the plan, or the change itself, is near or past. `look-due`: the study of a change is looked
    at this week. `held`, `fading`, `decayed`: what became of a verified change. `escalated`: nobody acknowledged the
    ticket in time. `cord`: somebody pulled the cord.
    """

    OPENED = "opened"
    GREW = "grew"
    REOPENED = "reopened"
    CLEARED = "cleared"
    OPENED_AND_CLEARED = "opened-and-cleared"
    PLAN_DUE = "plan-due"
    LOOK_DUE = "look-due"
    VERDICT = "verdict"
    HELD = "held"
    FADING = "fading"
    DECAYED = "decayed"
    ESCALATED = "escalated"
    CORD = "cord"
    WEEKLY_REPORT = "weekly-report"


# Those that a recipient chooses; `opened-and-cleared` comes with `opened`.
CHOICES = tuple(reason.value for reason in NoticeReason if reason is not NoticeReason.OPENED_AND_CLEARED)


class NoticeResult(StrEnum):
    """`waiting`: not sent yet, and tried again; a later result of the same mail replaces it. `dropped`: out of date
    before it was sent, or its reader wants no mails. `bounced`: sent, and returned for good.
    """

    SENT = "sent"
    REFUSED = "refused"
    WAITING = "waiting"
    DROPPED = "dropped"
    BOUNCED = "bounced"


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
    role: Words | None = Field(None, description="what the recipient is to the pipeline, as `owner`; never a name")


class NoticeEvent(Envelope[NoticeData]):
    type: Literal["andon.notice.result"] = "andon.notice.result"
