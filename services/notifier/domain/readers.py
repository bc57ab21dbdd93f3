"""Who reads mails: each address of the policy with its habits, and who gets those about a ticket. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.notifier.domain.quiet import end_of_quiet, last_report, next_time
from services.notifier.domain.reasons import URGENT
from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData
from shared.policy import Pipeline, Policy, QuietHours, Subscriber, WeeklyReport


class MailPace(StrEnum):
    """Which mails a reader takes."""

    AT_ONCE = "at-once"
    DAILY = "daily"
    WEEKLY = "weekly"
    OFF = "off"


@dataclass(frozen=True)
class Choice:
    """What a reader chose on the page of preferences. `bounced`: the address no longer takes mails."""

    pace: MailPace = MailPace.AT_ONCE
    unwanted: frozenset[NoticeReason] = frozenset()
    bounced: bool = False

    def takes(self, reason: NoticeReason) -> bool:
        """Whether a mail for this reason may go out."""
        if self.bounced or self.pace is MailPace.OFF or _chosen(reason) in self.unwanted:
            return False
        return self.pace is not MailPace.WEEKLY or reason is NoticeReason.WEEKLY_REPORT


TAKES_ALL = Choice()


@dataclass(frozen=True)
class MailReader:
    """One mail address. Its habits hold for all mails, whatever pipeline they are about."""

    name: str
    mail: str
    zone: str
    quiet: tuple[QuietHours, ...] = ()
    is_quiet_for_urgent: bool = True
    report: WeeklyReport = field(default_factory=WeeklyReport)

    @property
    def address(self) -> str:
        """Identifies the reader."""
        return self.mail.lower()

    def after_quiet(self, instant: datetime, reasons: Iterable[NoticeReason]) -> datetime:
        """When a mail that falls due may go out."""
        if not self.is_quiet_for_urgent and any(reason in URGENT for reason in reasons):
            return instant
        return end_of_quiet(self.quiet, self.zone, instant)

    def last_report(self, now: datetime) -> datetime:
        """The latest instant up to now at which the weekly report goes out, before quiet hours."""
        return last_report(self.report, self.zone, now)


@dataclass(frozen=True)
class Addressee:
    """A reader who gets mails about a ticket. `wanted`: the reasons, by the policy and the reader's choice.

    `is_daily`: each morning one mail about what happened to the ticket.
    """

    reader: MailReader
    role: str
    wanted: frozenset[NoticeReason]
    is_daily: bool = False

    def due(self, instant: datetime, reason: NoticeReason) -> datetime:
        """When a mail that may go out from an instant on is due."""
        reader = self.reader
        at = next_time(reader.report.at, reader.zone, instant) if self.is_daily else instant
        return reader.after_quiet(at, [reason])


# The policy does not have the ticket's pipeline.
NOBODY = Addressee(MailReader("", "", "UTC"), "", frozenset(NoticeReason))
_HABITS = ("timezone", "quiet", "quiet_for", "report")


class MailReaders:
    """The readers of a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.by_address: Mapping[str, MailReader] = {
            one.address: _reader(policy, one.address)
            for pipeline in policy.pipelines.values()
            for one in pipeline.subscribers
        }

    def home(self, facts: TicketData) -> str | None:
        """The pipeline whose readers get the mails: the ticket's; for a source, the policy's first pipeline that has
        deals of it, else the first.
        """
        known = self._policy.pipelines
        if facts.source is None:
            return facts.pipeline if facts.pipeline in known else None
        return next(iter([*(name for name in known if name in facts.pipelines), *known]))

    def pipelines_of(self, address: str) -> dict[str, Pipeline]:
        """The pipelines that an address gets mails about."""
        known = self._policy.pipelines.items()
        return {name: one for name, one in known if any(who.address == address for who in one.subscribers)}

    def addressees(self, facts: TicketData, choices: Mapping[str, Choice]) -> list[Addressee]:
        """Who gets mails about a ticket, the owner first. `choices`: by address; without one, all is taken."""
        home = self.home(facts)
        if home is None:
            return [NOBODY]
        pipeline = self._policy.pipelines[home]
        escalated = escalated_to(pipeline, choices)
        return [self._addressee(one, choices.get(one.address, TAKES_ALL), escalated) for one in pipeline.subscribers]

    def _addressee(self, one: Subscriber, choice: Choice, escalated: Collection[str]) -> Addressee:
        wanted = {reason for reason in NoticeReason if one.wants(reason) and choice.takes(reason)}
        wanted.discard(NoticeReason.ESCALATED)
        if one.address in escalated:
            wanted.add(NoticeReason.ESCALATED)
        is_daily = choice.pace is MailPace.DAILY
        return Addressee(self.by_address[one.address], role_of(one), frozenset(wanted), is_daily)

    def wants_report(self, address: str, choice: Choice) -> bool:
        """Whether an address gets the weekly report."""
        listed = [one for pipeline in self._policy.pipelines.values() for one in pipeline.subscribers]
        wants = any(one.address == address and one.wants(NoticeReason.WEEKLY_REPORT) for one in listed)
        return wants and choice.takes(NoticeReason.WEEKLY_REPORT)


def role_of(one: Subscriber) -> str:
    """What a recipient is to the pipeline."""
    return str(getattr(one, "role", "recipient"))


def escalated_to(pipeline: Pipeline, choices: Mapping[str, Choice]) -> list[str]:
    """Who gets escalations: those whom the policy names and who take them; else the owner; else whoever takes mails."""
    taking = [one for one in pipeline.subscribers if choices.get(one.address, TAKES_ALL).takes(NoticeReason.ESCALATED)]
    named = [one.address for one in taking if one.wants(NoticeReason.ESCALATED)]
    return named or [one.address for one in taking][:1]


def reached(pipeline: Pipeline, choices: Mapping[str, Choice]) -> list[Subscriber]:
    """Who still gets mails about new problems of a pipeline."""
    return [
        one
        for one in pipeline.subscribers
        if one.wants(NoticeReason.OPENED) and choices.get(one.address, TAKES_ALL).takes(NoticeReason.OPENED)
    ]


def _chosen(reason: NoticeReason) -> NoticeReason:
    return NoticeReason.OPENED if reason is NoticeReason.OPENED_AND_CLEARED else reason


def _reader(policy: Policy, address: str) -> MailReader:
    """The habits may stand at any entry of the address."""
    entries: Sequence[Subscriber] = [
        one for pipeline in policy.pipelines.values() for one in pipeline.subscribers if one.address == address
    ]
    habits = {name: getattr(one, name) for one in entries for name in _HABITS if name in one.model_fields_set}
    return MailReader(
        entries[0].name,
        entries[0].mail,
        habits.get("timezone") or policy.timezone,
        habits.get("quiet", ()),
        habits.get("quiet_for", "all") == "all",
        habits.get("report", WeeklyReport()),
    )
