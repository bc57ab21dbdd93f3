"""A problem as it is now. Messages report only growth by half; `flow.now` reports every change of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.tickets.domain.ticket import Ticket
from services.tickets.store import now as now_store
from services.tickets.store.daily_points import Series
from shared import wording
from shared.contracts.measures import Measure
from shared.contracts.now import RuleNow
from shared.contracts.problems import Evidence, EvidenceDeal, ProblemData
from shared.contracts.tickets import TicketOutcome
from shared.flow.calendars import AgeClocks
from shared.policy import Policy
from shared.postgres.pool import Executor
from shared.runtime.instants import micros
from shared.stream import stages_now
from shared.stream.stages_now import StagesNow
from shared.wording.money import MoneyAtStake


@dataclass(frozen=True)
class LatestCount:
    """A problem with its newest count and peak, as of `at`.

    `rule`: how its rule stands then; None: only messages about it are known. `stake`: what its deals are worth, where
    that was read.
    """

    problem: ProblemData
    at: datetime
    rule: RuleNow | None = None
    stake: MoneyAtStake | None = None


def series(problem: ProblemData, measure: Measure) -> Series:
    """A measure of the problem's stage."""
    return problem.pipeline, problem.stage or "", measure.value


def rule_series(problem: ProblemData) -> Series | None:
    """What the problem's rule counts. None for a kind that this version does not know."""
    spec = wording.of(problem.kind).chart
    return series(problem, spec.measure) if spec else None


def latest_count(problem: ProblemData) -> LatestCount:
    """The count in its last message."""
    return LatestCount(problem, problem.counted_at)


def count_now(ticket: Ticket, stages: StagesNow) -> LatestCount:
    """The ticket's problem as its stage stands now. What is over, or newer than that, stays as in its message."""
    problem = ticket.problem
    rule = stages.rule(problem.pipeline, problem.stage, problem.key)
    if rule is None or stages.at is None or not stages.reaches(problem.counted_at) or not _goes_on(ticket, rule):
        return latest_count(problem)
    at_opening = problem.evidence or Evidence(at=stages.at, total=0)
    facts = {"count": rule.count, "evidence": at_opening.model_copy(update={"at": stages.at, "total": rule.count})}
    if rule.peak is not None:
        facts["peak"] = rule.peak
    return LatestCount(problem.model_copy(update=facts), stages.at, rule)


def _goes_on(ticket: Ticket, rule: RuleNow) -> bool:
    """Whether the stage now says something of the ticket: of a closed one while its own problem is still open."""
    if ticket.problem.cleared_at is not None or ticket.outcome is TicketOutcome.RETRACTED:
        return False
    return ticket.is_open or rule.problem_opened_at == ticket.problem.opened_at


async def latest_counts(executor: Executor, found: Sequence[Ticket]) -> Mapping[int, LatestCount]:
    """By ticket. Evidence still has the deals of the message."""
    stages = await stages_now.of_stages(executor, _places(found))
    return {ticket.id: count_now(ticket, stages) for ticket in found}


async def counts_by_minute(executor: Executor, found: Sequence[Ticket]) -> Mapping[int, LatestCount]:
    """The same as of whole minutes, for pages."""
    told = [ticket.problem.counted_at for ticket in found]
    stages = await stages_now.by_minute(executor, _places(found), told)
    return {ticket.id: count_now(ticket, stages) for ticket in found}


def _places(found: Sequence[Ticket]) -> set[tuple[str, str]]:
    return {(ticket.problem.pipeline, ticket.problem.stage or "") for ticket in found}


async def with_deals(executor: Executor, latest: LatestCount, policy: Policy, clocks: AgeClocks) -> LatestCount:
    """Add the deals that are in the problem now, with their ages as of `latest.at`, and what they are worth."""
    problem = latest.problem
    if latest.rule is None:
        return latest
    found, stake = await now_store.evidence(executor, problem.key) or (Evidence(at=latest.at, total=0), None)
    latest = replace(latest, stake=stake)
    if policy.stage(problem.pipeline, problem.stage or "") is None:
        return latest
    clock, at = clocks.of(problem.pipeline, problem.stage or ""), micros(latest.at)

    def aged(deals: Sequence[EvidenceDeal]) -> tuple[EvidenceDeal, ...]:
        # What entered since the whole minute that `at` is has no age yet.
        ages = [max(0, clock.age(micros(deal.entered_at), at)) / 1_000_000 for deal in deals]
        return tuple(d.model_copy(update={"age_seconds": age}) for d, age in zip(deals, ages, strict=True))

    shown = Evidence(
        at=latest.at,
        total=problem.count,
        worst=aged(found.worst),
        sample=aged(found.sample),
        rest=aged(found.rest),
    )
    return replace(latest, problem=problem.model_copy(update={"evidence": shown}))
