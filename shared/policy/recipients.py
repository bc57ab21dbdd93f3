"""Who gets mails about a pipeline: its owner and other recipients, what each wants to know, and when."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from shared.contracts.notices import CHOICES, NoticeReason
from shared.policy.parts import DAY_SECONDS, DAYS, Part, WeekDay, Zone, seconds_of_day
from shared.runtime.addresses import ADDRESS

_WEEK = 7 * DAY_SECONDS
_ONE_LINE = r"^[^\r\n\x00]*$"


def _time(text: object) -> object:
    """`08:00` as seconds of the day."""
    if not isinstance(text, str):
        return text
    try:
        return seconds_of_day(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time of day; write one such as 08:00, or 24:00 for its end") from None


TimeOfDay = Annotated[int, BeforeValidator(_time)]


class QuietHours(Part):
    """No mails from one wall-clock time to another, beginning on these days; over midnight where `to` is not later."""

    begin: TimeOfDay = Field(alias="from", lt=DAY_SECONDS)
    end: TimeOfDay = Field(alias="to", le=DAY_SECONDS)
    days: tuple[WeekDay, ...] = Field(DAYS, min_length=1)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Seconds of the week, from Monday 00:00, [begin, end); the end may lie in the week after."""
        length = (self.end - self.begin - 1) % DAY_SECONDS + 1
        starts = [DAYS.index(day) * DAY_SECONDS + self.begin for day in self.days]
        return [(start, start + length) for start in starts]


class WeeklyReport(Part):
    """When the weekly report goes out, in the recipient's zone."""

    day: WeekDay = "mon"
    at: TimeOfDay = Field(8 * 3600, lt=DAY_SECONDS)


def _spans(written: object) -> object:
    """One span may stand without a list."""
    return [written] if isinstance(written, dict) else written


def _reason(text: object) -> object:
    """A reason that may be chosen; the others follow from them."""
    if isinstance(text, str) and text not in CHOICES:
        raise ValueError(f"{text!r} is no notice to choose; use some of {', '.join(CHOICES)}")
    return text


class Subscriber(Part):
    """Somebody who gets mails. `notices`: the reasons to write for; None: the usual ones.

    `quiet_for`: what quiet hours hold back: everything, or all but what cannot wait.
    """

    name: str = Field(min_length=1, max_length=200, pattern=_ONE_LINE)
    mail: str = Field(max_length=300)
    timezone: Zone | None = None
    quiet: Annotated[tuple[QuietHours, ...], BeforeValidator(_spans)] = ()
    quiet_for: Literal["all", "all-but-urgent"] = "all"
    report: WeeklyReport = WeeklyReport()
    notices: tuple[Annotated[NoticeReason, BeforeValidator(_reason)], ...] | None = None

    @field_validator("mail")
    @classmethod
    def _is_address(cls, mail: str) -> str:
        if not re.fullmatch(ADDRESS, mail):
            raise ValueError(
                "not a mail address; write one address, as sales@example.org, in ASCII (a domain such as"
                " bücher.example as xn--bcher-kva.example)"
            )
        return mail

    @field_validator("notices")
    @classmethod
    def _once(cls, notices: tuple[NoticeReason, ...] | None) -> tuple[NoticeReason, ...] | None:
        if notices is not None and len(set(notices)) < len(notices):
            raise ValueError("a notice appears twice; list each once")
        return notices

    @field_validator("quiet")
    @classmethod
    def _has_an_end(cls, quiet: tuple[QuietHours, ...]) -> tuple[QuietHours, ...]:
        if _covers_the_week([span for one in quiet for span in one.spans]):
            raise ValueError("quiet hours leave no time for mails; shorten them, or remove the recipient")
        return quiet

    @property
    def address(self) -> str:
        """Identifies the recipient: the mail address in lower case."""
        return self.mail.lower()

    def wants(self, reason: NoticeReason) -> bool:
        """Whether the policy has them written to for this reason."""
        if self.notices is None:
            return reason is not NoticeReason.ESCALATED
        chosen = NoticeReason.OPENED if reason is NoticeReason.OPENED_AND_CLEARED else reason
        return chosen in self.notices


class Owner(Subscriber):
    """Who owns the policy of a pipeline and can change the way of working."""

    @property
    def role(self) -> str:
        return "owner"


class Recipient(Subscriber):
    """Somebody else who gets mails about a pipeline. `role`: what they are to it, such as deputy."""

    role: str = Field("recipient", min_length=1, max_length=100, pattern=_ONE_LINE)


def _covers_the_week(spans: list[tuple[int, int]]) -> bool:
    """Whether spans of the week leave no instant."""
    reached = 0
    for begin, end in sorted([*spans, *((begin - _WEEK, end - _WEEK) for begin, end in spans)]):
        if begin <= reached:
            reached = max(reached, end)
    return reached >= _WEEK
