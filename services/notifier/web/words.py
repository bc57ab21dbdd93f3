"""Reasons and paces as the pages name them."""

from __future__ import annotations

from collections.abc import Mapping

from services.notifier.domain.readers import MailPace
from shared.contracts.notices import CHOICES, NoticeReason

REASONS: Mapping[NoticeReason, str] = {
    NoticeReason.OPENED: "A problem was found",
    NoticeReason.GREW: "A problem has grown",
    NoticeReason.REOPENED: "A problem has come back",
    NoticeReason.CLEARED: "A problem is over",
    NoticeReason.PLAN_DUE: "A task of a plan, or its change, is near or past",
    NoticeReason.LOOK_DUE: "A change will be judged this week",
    NoticeReason.VERDICT: "The verdict on a change",
    NoticeReason.HELD: "The gain of a change was held",
    NoticeReason.FADING: "The gain of a change fades",
    NoticeReason.DECAYED: "The gain of a change is lost",
    NoticeReason.ESCALATED: "Nobody acknowledged a ticket in time",
    NoticeReason.CORD: "Somebody pulled the cord",
    NoticeReason.WEEKLY_REPORT: "The weekly report",
}
PACES: Mapping[MailPace, str] = {
    MailPace.AT_ONCE: "Each notice as it comes, at most one mail per ticket and hour",
    MailPace.DAILY: "Each morning, at most one mail per ticket, with what happened to it",
    MailPace.WEEKLY: "Only the weekly report",
    MailPace.OFF: "No mails",
}
CHOSEN = tuple(NoticeReason(value) for value in CHOICES)
