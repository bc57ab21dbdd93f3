"""What the pages show: tickets, evidence and rules as plain values, with the words chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import LatestCount, latest_count
from services.tickets.store.problems import Counted
from services.tickets.store.tickets import TicketName
from services.tickets.web.now_view import NowView, now_view
from services.tickets.web.outcomes import STATES, closing_reason, mark, outcome_words
from services.tickets.web.times import ago
from services.tickets.web.zones import page_zone
from shared import wording
from shared.contracts.problems import EvidenceDeal, Mode, ProblemData
from shared.policy import Policy, StageTitles
from shared.policy.model import CountRule
from shared.wording.money import MoneyAtStake, deal_amount
from shared.wording.problem_text import ProblemText, text_of, title_of, watched
from shared.wording.quantities import age


@dataclass(frozen=True)
class TicketView:
    """One ticket in words."""

    ticket: Ticket
    text: ProblemText
    state: str
    mark: str
    # Before the instant at which the problem opened: `It began`
    began: str
    # How long the problem has lasted until now.
    since: str
    outcome: str | None
    # How long the problem lasted in all; None while it does.
    lasted: str | None
    # How the problem stands now; None once it is over.
    now: NowView | None
    stake: MoneyAtStake
    # What a person wrote when closing it.
    closed_because: str | None
    spark: str = ""

    @property
    def is_to_decide(self) -> bool:
        """Whether there is a verdict that nobody has acted on."""
        return self.ticket.has_verdict and self.ticket.decision is None


def ticket_view(
    ticket: Ticket,
    policy: Policy,
    titles: StageTitles,
    now: datetime,
    latest: LatestCount | None = None,
    found: Counted | None = None,
    spark: str = "",
) -> TicketView:
    """`found`: the count of the problem's first message."""
    latest = latest or latest_count(ticket.problem)
    opened, cleared = ticket.problem.opened_at, ticket.problem.cleared_at
    return TicketView(
        ticket,
        text_of(latest.problem, policy, titles, page_zone(policy.timezone)),
        STATES[ticket.state],
        mark(ticket),
        wording.of(ticket.problem.kind).began,
        ago(opened, now),
        outcome_words(ticket),
        ago(opened, cleared) if cleared else None,
        now_view(latest, found or ticket.problem, now),
        latest.stake or stake_of(latest.problem),
        closing_reason(ticket),
        spark,
    )


class NamedTicket(NamedTuple):
    """An open ticket by its title, for boards. `state`: in words."""

    of: TicketName
    title: str
    state: str


def named_ticket(one: TicketName, policy: Policy, titles: StageTitles) -> NamedTicket:
    return NamedTicket(one, title_of(one, one.measure, policy, titles), STATES[one.state])


def stake_of(problem: ProblemData) -> MoneyAtStake:
    """What the deals of a problem are worth, as far as its message says."""
    return wording.of(problem.kind).stake(problem.evidence)


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
    rule: CountRule, pipeline: str, policy: Policy, titles: StageTitles, count: int | None = None
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


def rule_words(problem: ProblemData) -> str:
    """The rule that found a problem: `waiting too long`, and its version from the second on."""
    version = problem.rule.rpartition("/")[2]
    label = wording.of(problem.kind).label
    return label if version in ("", "1") else f"{label}, version {version}"


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
        caption = "The only deal" if total == 1 else f"All {total} deals, {order}"
        return EvidenceView(found.at, EvidenceTable(caption, worst), None)
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
        deal_amount(deal),
        deal.last_movement_at,
        deal.next_step_at,
        deal.url if deal.url and deal.url.startswith(("https://", "http://")) else None,
    )


def date_after(now: datetime, days: int, zone: str) -> str:
    """The date some days ahead in a zone, for a form."""
    return (now.astimezone(ZoneInfo(zone)).date() + timedelta(days=days)).isoformat()
