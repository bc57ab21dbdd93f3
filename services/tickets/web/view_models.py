"""What the pages show: tickets, evidence and history as plain values with the words already chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from services.tickets.domain.lifecycle import TAKEN_BACK, Ticket
from services.tickets.latest_count import LatestCount, counted
from services.tickets.web.times import ago
from shared.contracts.problems import EvidenceDeal, ProblemData, ProblemReason
from shared.contracts.tickets import TicketOutcome, TicketState
from shared.policy import Policy
from shared.wording.problem_text import ProblemText, age, tell

STATES = {
    TicketState.OPEN: "not yet seen",
    TicketState.ACKNOWLEDGED: "seen",
    TicketState.SNOOZED: "put aside",
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
WENT = {
    "cleared-without-change": "went away by itself",
    "abandoned": "given up",
    "wont-fix": "left as it is",
    "retracted": "taken back",
}
KINDS = {
    "aging": "waiting too long",
    "wip-high": "too much work",
    "wip-low": "running dry",
    "stalled": "standing still",
}
CHANGES = {
    "opened": "The problem began",
    "grew": "The problem grew",
    "updated": "The problem changed",
    "cleared": "The problem was over",
    "reopened": "The problem came back",
    "acknowledged": "Somebody has seen it",
    "snoozed": "Put aside",
    "woke": "Came back after its rest",
    "closed": "Closed",
}
MAILS = {
    "opened": "that it opened",
    "grew": "that it grew",
    "reopened": "that it came back",
    "cleared": "that it is over",
    "opened-and-cleared": "that it opened and is over",
}
TAKEN_BACK_MAIL = "that it is taken back"
FEW = 5


@dataclass(frozen=True)
class View:
    """One ticket with its words."""

    ticket: Ticket
    told: ProblemText
    state: str
    mark: str
    since: str
    outcome: str | None
    lasted: str | None
    # Empty once the problem is over: then nothing is counted any more.
    as_of: datetime | None
    spark: str = ""


def view(ticket: Ticket, policy: Policy, now: datetime, newest: LatestCount | None = None, spark: str = "") -> View:
    newest = newest or counted(ticket.problem)
    begun, over = ticket.problem.opened_at, ticket.problem.cleared_at
    return View(
        ticket,
        tell(newest.problem, policy),
        STATES[ticket.state],
        MARKS[ticket.state],
        ago(begun, now),
        _outcome(ticket),
        ago(begun, over) if over else None,
        None if over else newest.at,
        spark,
    )


def outcomes(tickets: Sequence[Ticket]) -> str:
    """`3 went away by itself, 1 given up`"""
    counted = Counter(ticket.outcome for ticket in tickets)
    return ", ".join(f"{counted[one]} {WENT[one.value]}" for one in TicketOutcome if counted[one])


def _outcome(ticket: Ticket) -> str | None:
    if ticket.outcome is TicketOutcome.RETRACTED:
        return TAKEN_BACK.get(ticket.problem.reason, TAKEN_BACK[ProblemReason.RETRACTED])
    return OUTCOMES[ticket.outcome] if ticket.outcome else None


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
    """Some deals of the evidence under what they have in common."""

    caption: str
    rows: list[DealRow]


@dataclass(frozen=True)
class ShownDeal:
    """The evidence: a few of the worst, as many at random, and all that is known where that is more."""

    worst: EvidenceTable
    sample: EvidenceTable | None
    rest: EvidenceTable | None


def evidence(problem: ProblemData, day_seconds: int) -> ShownDeal | None:
    found = problem.evidence
    if found is None or not found.worst:
        return None
    known, total = [_deal_row(deal, day_seconds) for deal in found.worst], found.total
    worst_first = "without progress for longest" if problem.kind == "stalled" else "longest in the stage"
    if total <= FEW:
        return ShownDeal(
            EvidenceTable(f"{'The only deal' if total == 1 else f'All {total} deals'}, {worst_first}", known),
            None,
            None,
        )
    sample = [_deal_row(deal, day_seconds) for deal in found.sample]
    whole = f"All {total} deals" if total <= len(known) else f"The first {len(known)} of {total} deals"
    return ShownDeal(
        EvidenceTable(f"The {FEW} {worst_first}, of {total}", known[:FEW]),
        EvidenceTable(f"{len(sample)} of them at random, to see the ordinary ones too", sample) if sample else None,
        EvidenceTable(f"{whole}, {worst_first}", known) if len(known) > FEW else None,
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
    whole = amount == amount.to_integral_value()
    return f"{amount.to_integral_value() if whole else amount:,} {deal.currency or ''}".strip()


def history_rows(rows: list[Any], notices: list[Any]) -> list[dict[str, Any]]:
    """Changes and mails in one row of time, the newest first."""
    found = [{"at": row["at"], "what": _change(row), "why": _why(row), "bad": False} for row in rows]
    for row in notices:
        sent, about = row["result"] == "sent", _about(row, rows)
        found.append(
            {
                "at": row["at"],
                "bad": not sent,
                "why": None if sent else row["detail"],
                "what": f"Mail to the owner of the policy, {about}: {row['result']}",
            }
        )
    # What happened at one instant stays in its order: changes have a number, and a mail comes after its change.
    return sorted(found, key=lambda one: one["at"])[::-1]


def _about(mail: Any, rows: list[Any]) -> str:
    """What a mail said. That a problem is over and that it is taken back go out for the same reason."""
    ends = [row for row in rows if row["change"] == "cleared" or _is_taken_back(row)]
    before = [row for row in ends if row["noted"] <= mail["at"]] or ends
    reason: str = mail["reason"]
    if reason == "cleared" and before and _is_taken_back(before[-1]):
        return TAKEN_BACK_MAIL
    return MAILS.get(reason, reason)


def _is_taken_back(row: Any) -> bool:
    return row["change"] == "closed" and row["actor"] == "system" and row["reason"] is not None


def _change(row: Any) -> str:
    """A change in words."""
    said, by_person = CHANGES.get(row["change"], row["change"]), row["actor"] == "person"
    if row["change"] == "grew" and row["reason"]:
        return f"{said} {row['reason']} deals"
    if row["change"] == "closed" and not by_person and not row["reason"]:
        return f"{said}: {OUTCOMES[TicketOutcome.CLEARED_WITHOUT_CHANGE]}"
    return f"{said} by somebody on this page" if by_person and row["change"] != "acknowledged" else said


def _why(row: Any) -> str | None:
    return None if row["change"] == "grew" else row["reason"]


def days_from(now: datetime, days: int, zone: str) -> str:
    """The date so many days ahead where the policy is at home, for a form."""
    return (now.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)).isoformat()
