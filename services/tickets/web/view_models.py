"""What the pages show: tickets, evidence, rules and history as plain values, with the words chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.tickets.domain.lifecycle import WITHDRAWN, Ticket
from services.tickets.latest_count import LatestCount, latest_count
from services.tickets.web.now_view import NowView, now_view
from services.tickets.web.times import ago
from shared import wording
from shared.contracts.problems import EvidenceDeal, Mode, ProblemData, ProblemReason
from shared.contracts.tickets import TicketOutcome, TicketState
from shared.policy import Policy, StageTitles
from shared.policy.model import RulePolicy
from shared.postgres.pool import Record
from shared.wording.problem_text import ProblemText, text_of, watched
from shared.wording.quantities import age

STATES = {
    TicketState.OPEN: "not yet seen",
    TicketState.ACKNOWLEDGED: "seen",
    TicketState.SNOOZED: "snoozed",
    TicketState.CLOSED: "closed",
}
MARKS = {
    TicketState.OPEN: "!",
    TicketState.ACKNOWLEDGED: "○",
    TicketState.SNOOZED: "…",
    TicketState.CLOSED: "✓",
}
OUTCOMES = {
    TicketOutcome.CLEARED_WITHOUT_CHANGE: "the problem went away by itself",
    TicketOutcome.ABANDONED: "given up",
    TicketOutcome.WONT_FIX: "nothing will be changed",
}
OUTCOME_COUNTS = {
    TicketOutcome.CLEARED_WITHOUT_CHANGE: "went away by itself",
    TicketOutcome.ABANDONED: "given up",
    TicketOutcome.WONT_FIX: "left as it is",
    TicketOutcome.RETRACTED: "withdrawn",
}
CHANGES = {
    "opened": "The problem began",
    "grew": "The problem grew",
    "updated": "The problem changed",
    "cleared": "The problem was over",
    "reopened": "The problem came back",
    "acknowledged": "Somebody has seen it",
    "snoozed": "Snoozed",
    "woke": "Came back after the snooze",
    "closed": "Closed",
}
MAILS = {
    "opened": "that it opened",
    "grew": "that it grew",
    "reopened": "that it came back",
    "cleared": "that it is over",
    "opened-and-cleared": "that it opened and is over",
}
WITHDRAWN_MAIL = "that it is withdrawn"


@dataclass(frozen=True)
class TicketView:
    """One ticket in words."""

    ticket: Ticket
    text: ProblemText
    state: str
    mark: str
    # How long the problem has lasted until now.
    since: str
    outcome: str | None
    # How long the problem lasted in all; None while it does.
    lasted: str | None
    # How the problem stands now; None once it is over.
    now: NowView | None
    spark: str = ""


def ticket_view(
    ticket: Ticket,
    policy: Policy,
    titles: StageTitles,
    now: datetime,
    latest: LatestCount | None = None,
    found: ProblemData | None = None,
    spark: str = "",
) -> TicketView:
    """`found`: the problem as its first message told it."""
    latest = latest or latest_count(ticket.problem)
    opened, cleared = ticket.problem.opened_at, ticket.problem.cleared_at
    return TicketView(
        ticket,
        text_of(latest.problem, policy, titles),
        STATES[ticket.state],
        MARKS[ticket.state],
        ago(opened, now),
        _outcome(ticket),
        ago(opened, cleared) if cleared else None,
        now_view(latest, found or ticket.problem, now),
        spark,
    )


def outcome_counts(closed: Sequence[Ticket]) -> str:
    """`3 went away by itself, 1 given up`"""
    counts = Counter(ticket.outcome for ticket in closed)
    return ", ".join(f"{counts[outcome]} {OUTCOME_COUNTS[outcome]}" for outcome in TicketOutcome if counts[outcome])


def _outcome(ticket: Ticket) -> str | None:
    if ticket.outcome is TicketOutcome.RETRACTED:
        return WITHDRAWN.get(ticket.problem.reason, WITHDRAWN[ProblemReason.RETRACTED])
    return OUTCOMES[ticket.outcome] if ticket.outcome else None


@dataclass(frozen=True)
class RuleView:
    """What one rule of the policy looks for."""

    pipeline: str
    stage: str
    # `waiting too long`
    label: str
    # `6 deals or more for longer than 21 days`
    watched: str
    opens_tickets: bool
    is_off: bool
    # How many deals it counts now, where the page does not show that anyway.
    count: int | None = None


def rule_view(
    rule: RulePolicy, pipeline: str, policy: Policy, titles: StageTitles, count: int | None = None
) -> RuleView:
    """`count`: how many deals the rule counts now."""
    kind = wording.of(rule.kind)
    return RuleView(
        policy.pipelines[pipeline].name,
        titles.title(pipeline, rule.stage),
        kind.label,
        watched(rule, pipeline, policy),
        rule.mode is Mode.ACTIVE,
        rule.mode is Mode.OFF,
        None if kind.chart and kind.chart.counts_all else count,
    )


@dataclass(frozen=True)
class DealRow:
    """One deal of the evidence."""

    name: str
    age: str
    amount: str
    moved: datetime | None
    next_step: datetime | None
    url: str | None


@dataclass(frozen=True)
class EvidenceTable:
    """Some deals of the evidence, with what they have in common as caption."""

    caption: str
    rows: list[DealRow]


@dataclass(frozen=True)
class EvidenceView:
    """The evidence as of `at`: all of a few deals, else the worst, and some of the others at random."""

    at: datetime
    worst: EvidenceTable
    sample: EvidenceTable | None


def evidence_view(problem: ProblemData, day_seconds: int) -> EvidenceView | None:
    """None where no deal is behind the problem."""
    found = problem.evidence
    if found is None or not found.worst:
        return None
    worst, total = [_deal_row(deal, day_seconds) for deal in found.worst], found.total
    order = wording.of(problem.kind).deal_order
    if total <= len(worst):
        all_deals = "The only deal" if total == 1 else f"All {total} deals"
        return EvidenceView(found.at, EvidenceTable(f"{all_deals}, {order}", worst), None)
    shown = {deal.deal for deal in found.worst}
    sample = [_deal_row(deal, day_seconds) for deal in found.sample if deal.deal not in shown]
    others = f"{len(sample)} of the others at random, to see the ordinary ones too"
    return EvidenceView(
        found.at,
        EvidenceTable(f"The {len(worst)} {order}, of {total}", worst),
        EvidenceTable(others, sample) if sample else None,
    )


def _deal_row(deal: EvidenceDeal, day_seconds: int) -> DealRow:
    return DealRow(
        deal.name or deal.deal.partition(":")[2] or deal.deal,
        age(deal.age_seconds, day_seconds),
        money(deal),
        deal.last_movement_at,
        deal.next_step_at,
        deal.url if deal.url and deal.url.startswith(("https://", "http://")) else None,
    )


def money(deal: EvidenceDeal) -> str:
    """`48,500 EUR`"""
    if deal.amount is None:
        return ""
    amount = Decimal(deal.amount)
    is_whole = amount == amount.to_integral_value()
    return f"{amount.to_integral_value() if is_whole else amount:,} {deal.currency or ''}".strip()


@dataclass(frozen=True)
class HistoryRow:
    """A change of the ticket, or a mail about it."""

    at: datetime
    what: str
    why: str | None
    is_failure: bool


def history_rows(changes: Sequence[Record], mails: Sequence[Record]) -> list[HistoryRow]:
    """Changes and mails, newest first. What happened at one instant keeps its order, a mail after its change."""
    rows = [HistoryRow(change["at"], _change(change), _why(change), False) for change in changes]
    rows += [_mail_row(mail, changes) for mail in mails]
    return sorted(rows, key=lambda row: row.at)[::-1]


def _mail_row(mail: Record, changes: Sequence[Record]) -> HistoryRow:
    is_sent = mail["result"] == "sent"
    what = f"Mail to the owner of the policy, {_about(mail, changes)}: {mail['result']}"
    return HistoryRow(mail["at"], what, None if is_sent else mail["detail"], not is_sent)


def _about(mail: Record, changes: Sequence[Record]) -> str:
    """What a mail is about. Problems that are over and problems that are withdrawn share one reason."""
    ends = [change for change in changes if change["change"] == "cleared" or _is_withdrawal(change)]
    before = [change for change in ends if change["recorded_at"] <= mail["at"]] or ends
    reason: str = mail["reason"]
    if reason == "cleared" and before and _is_withdrawal(before[-1]):
        return WITHDRAWN_MAIL
    return MAILS.get(reason, reason)


def _is_withdrawal(change: Record) -> bool:
    return change["change"] == "closed" and change["actor"] == "system" and change["reason"] is not None


def _change(change: Record) -> str:
    """A change in words."""
    words, is_by_person = CHANGES.get(change["change"], change["change"]), change["actor"] == "person"
    if change["change"] == "grew" and change["reason"]:
        return f"{words} {change['reason']} deals"
    if change["change"] == "closed" and not is_by_person and not change["reason"]:
        return f"{words}: {OUTCOMES[TicketOutcome.CLEARED_WITHOUT_CHANGE]}"
    return f"{words} by somebody on this page" if is_by_person and change["change"] != "acknowledged" else words


def _why(change: Record) -> str | None:
    return None if change["change"] == "grew" else change["reason"]


def date_after(now: datetime, days: int, zone: str) -> str:
    """The date some days ahead in a zone, for a form."""
    return (now.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)).isoformat()
