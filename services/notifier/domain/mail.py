"""A mail and the notices that it carries, as a sender has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.notifier.domain.report import ReportData
from services.notifier.domain.safe_text import one_line
from shared.contracts.canary import CANARY
from shared.contracts.envelope import Message, Moment, content_id
from shared.contracts.notices import NoticeReason
from shared.contracts.now import RuleNow
from shared.contracts.tickets import Actor, TicketChange, TicketData

MAX_SUBJECT = 180
# What is reported without a change of the ticket.
Occasion = Literal[NoticeReason.PLAN_DUE, NoticeReason.LOOK_DUE, NoticeReason.ESCALATED]


class CoveredChange(Message):
    """One change of a ticket that a notice reports, or an occasion: a plan or a look fell due, nobody acknowledged.

    `count`: the deals after it.
    """

    change: TicketChange | Occasion
    at: Moment
    count: int
    actor: Actor = Actor.SYSTEM


@dataclass(frozen=True)
class Thread:
    """All mails about one ticket: the subject and the Message-ID of the first one."""

    subject: str
    message_id: str


@dataclass(frozen=True)
class ProblemNow:
    """How the rule of a problem stands as of an instant."""

    as_of: datetime
    rule: RuleNow


@dataclass(frozen=True)
class Notice:
    """One thing to report about one ticket.

    `seq`: the change it was written for; `facts`: the ticket as of the latest change that it covers. `changes`: the
    latest of the `covered` changes, in order. `thread`: None before the first notice is stored. `now`: how the problem
    stands while the mail goes out; None where nothing newer than `facts` is known.
    """

    ticket: int
    seq: int
    reason: NoticeReason
    facts: TicketData
    changes: tuple[CoveredChange, ...] = ()
    covered: int = 1
    thread: Thread | None = None
    now: ProblemNow | None = None


@dataclass(frozen=True)
class Mail:
    """A mail that this sender has claimed until `claim`. An empty `to_mail`: the policy names no owner.

    It carries one notice, or a weekly report. `wanted_at`: when it should go out. `unanswered`: how often its content
    was handed over without an answer. `answer`: the last one that was no success. `held`: how long it was to wait, for
    quiet hours or the mail before. `traceparent`: of the trace in which it was written; None: none is recorded.
    """

    id: int
    message_id: str
    to_name: str
    to_mail: str
    wanted_at: datetime
    attempts: int
    claim: datetime
    notices: tuple[Notice, ...]
    unanswered: int = 0
    answer: str | None = None
    report: ReportData | None = None
    held: timedelta = timedelta(0)
    traceparent: str | None = None

    @property
    def reasons(self) -> list[NoticeReason]:
        """Why it is sent."""
        return [NoticeReason.WEEKLY_REPORT] if self.report else [notice.reason for notice in self.notices]

    @property
    def is_trial(self) -> bool:
        """Whether it is the canary's: nobody waits for it."""
        return bool(self.notices) and all(notice.facts.pipeline == CANARY for notice in self.notices)


def notice_name(facts: TicketData, address: str, occasion: str | None = None) -> str:
    """Identifies a notice on the topic `improvement.notices`: the same when it is written again.

    The number of a ticket and its change are not enough: when the database was set back, others may get the same.
    `address`: of the recipient, in lower case. `occasion`: of a notice without a change of the ticket.
    """
    what = occasion or facts.change.value
    digest = content_id(facts.key, facts.opened_at, what, "" if occasion else facts.at, address)
    return f"{facts.ticket}-{facts.seq}-{digest[:8]}"


def message_id(name: str, domain: str) -> str:
    """The Message-ID of the mail that was begun for a notice: the same however often it is sent."""
    return f"<andon.ticket-{name}@{domain}>"


def subject_of(facts: TicketData) -> str:
    """The subject of a new thread. Later mails keep it when a stage or pipeline is renamed."""
    # The title of a problem of a whole pipeline names it already.
    where = f" ({facts.pipeline_name})" if facts.stage else ""
    return one_line(f"[Andon] {facts.title}{where}", MAX_SUBJECT)
