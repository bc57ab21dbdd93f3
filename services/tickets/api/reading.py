"""Reads tickets as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence

from services.tickets.api.faults import ApiFault
from services.tickets.api.models import (
    HistoryEntry,
    PlanMeasure,
    TicketFound,
    TicketList,
    TicketMail,
    TicketNow,
    TicketPlan,
    TicketSeal,
    TicketSummary,
    TicketWhole,
)
from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import LatestCount, latest_counts, with_deals
from services.tickets.plan_facts import measure_words, plan_facts
from services.tickets.query import TicketQuery
from services.tickets.store import cord_pulls, notices, plans, problems, stages, studies, tickets
from services.tickets.store.problems import Counted
from services.tickets.study.measures import measures_of
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import CordFacts
from shared.flow.calendars import AgeClocks
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Connection, Record
from shared.wording.measures import day_of, unit_of
from shared.wording.problem_text import text_of


class TicketReader:
    """Each method reads on the caller's connection. Raises ApiFault where there is no such ticket."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._clocks = policy, AgeClocks(policy)

    async def page(self, connection: Connection, query: TicketQuery) -> TicketList:
        found = await tickets.find(connection, query.filter)
        counts = await latest_counts(connection, found)
        first = await problems.found_counts(connection, [ticket.problem for ticket in found])
        cords = await cord_pulls.facts(connection, [ticket.id for ticket in found])
        titles = await stages.titles(connection, self._policy)
        more = found[-1].id if len(found) == query.limit else None
        shown = [
            self._summary(t, counts[t.id], one, titles, cords.get(t.id)) for t, one in zip(found, first, strict=True)
        ]
        return TicketList(tickets=shown, next_before=more)

    async def whole(self, connection: Connection, number: int) -> TicketWhole:
        """A ticket with evidence, history, plan and mails."""
        ticket = await existing(connection, number)
        latest = await self.latest(connection, ticket)
        found = await problems.found(connection, ticket.problem)
        titles = await stages.titles(connection, self._policy)
        history = await tickets.history(connection, number)
        mails = await notices.of_ticket(connection, ticket)
        plan = await plan_facts(connection, ticket, self._policy, titles)
        study = await studies.facts(connection, ticket)
        saved = await plans.draft(connection, number)
        cords = await cord_pulls.facts(connection, [number])
        return TicketWhole(
            **dict(self._summary(ticket, latest, found, titles, cords.get(number))),
            asks_for=text_of(ticket.problem, self._policy, titles).asks_for,
            evidence=latest.problem.evidence,
            evidence_found=found.evidence,
            history=entries(history),
            mails=[TicketMail(**dict(row)) for row in mails],
            cycle=ticket.cycle,
            decision=ticket.decision,
            plan=plan,
            study=study,
            draft_version=saved.version,
        )

    async def plan(self, connection: Connection, number: int) -> TicketPlan:
        """Draft and seals of a ticket's plan."""
        ticket = await existing(connection, number)
        saved = await plans.draft(connection, number)
        seals = await plans.seals(connection, number)
        titles = await stages.titles(connection, self._policy)
        measures = [
            PlanMeasure(
                name=chart.name,
                words=measure_words(chart, self._policy, titles),
                unit=unit_of(chart.column, day_of(chart, self._policy)),
            )
            for chart in measures_of(ticket.problem, self._policy)
        ]
        return TicketPlan(
            draft=saved.draft,
            draft_version=saved.version,
            saved_at=saved.saved_at,
            measures=measures,
            seals=[_seal(one) for one in seals],
        )

    async def latest(self, connection: Connection, ticket: Ticket) -> LatestCount:
        """The ticket's problem as it is now, with its deals."""
        latest = (await latest_counts(connection, [ticket]))[ticket.id]
        return await with_deals(connection, latest, self._policy, self._clocks)

    def _summary(
        self, ticket: Ticket, latest: LatestCount, found: Counted, titles: StageTitles, cord: CordFacts | None
    ) -> TicketSummary:
        problem = latest.problem
        text = text_of(problem, self._policy, titles)
        # All values were checked when they came in. To check those of 200 tickets again takes long.
        return TicketSummary.model_construct(
            id=ticket.id,
            seq=ticket.seq,
            key=ticket.key,
            title=text.title,
            sentence=text.sentence,
            state=ticket.state,
            outcome=ticket.outcome,
            cause_class=problem.cause_class,
            pipeline=problem.pipeline,
            stage=problem.stage,
            source=problem.source,
            kind=problem.kind,
            mode=problem.mode.value,
            count=problem.count,
            count_at=None if problem.cleared_at else latest.at,
            peak=problem.peak,
            threshold=problem.threshold,
            usual=problem.usual,
            chance=problem.chance,
            exceed=problem.exceed,
            opened_at=ticket.opened_at,
            changed_at=ticket.changed_at,
            closed_at=ticket.closed_at,
            closed_because=ticket.closed_because,
            snoozed_until=ticket.snoozed_until,
            problem=ProblemInterval.model_construct(
                opened_at=problem.opened_at, cleared_at=problem.cleared_at, peak=problem.peak
            ),
            now=_now(latest),
            found=TicketFound.model_construct(at=found.counted_at, count=found.count),
            cord=cord,
            issue=ticket.issue,
        )


async def existing(connection: Connection, number: int) -> Ticket:
    """A ticket; raises ApiFault where there is none."""
    ticket = await tickets.get(connection, number)
    if ticket is None:
        raise no_ticket(number)
    return ticket


def no_ticket(number: int) -> ApiFault:
    return ApiFault(404, f"there is no ticket {number}; see /api/v1/tickets")


def entries(history: Sequence[Record]) -> list[HistoryEntry]:
    return [HistoryEntry(**{name: row[name] for name in HistoryEntry.model_fields}) for row in history]


def _seal(sealed: SealedPlan) -> TicketSeal:
    return TicketSeal(
        cycle=sealed.cycle,
        number=sealed.number,
        sealed_at=sealed.sealed_at,
        reason=sealed.reason,
        hash=sealed.hash,
        before=sealed.before,
        content=sealed.content.decode(),
    )


def _now(latest: LatestCount) -> TicketNow | None:
    rule = latest.rule
    if rule is None:
        return None
    return TicketNow.model_construct(
        as_of=latest.at,
        count=latest.problem.count,
        peak=latest.problem.peak,
        breached=rule.breached,
        since=rule.since,
        clears_at=rule.clears_at,
    )
