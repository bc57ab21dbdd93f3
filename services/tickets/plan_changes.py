"""What people do with a ticket's plan that needs the weeks of its measure: draft, seal, and seal anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import NamedTuple

from services.tickets.changes import Situation, TicketChanges
from services.tickets.domain import commands, planning
from services.tickets.domain.draft import PlanDraft, PlanTerms, complete
from services.tickets.domain.faults import (
    ChangedMeanwhileError,
    DraftChangedError,
    NotPossibleError,
    TooLateError,
    UnconfirmedError,
)
from services.tickets.domain.issue_links import NO_ISSUES, IssueHosts
from services.tickets.domain.plan import Plan
from services.tickets.domain.seal import SealedGround, SealedPlan
from services.tickets.domain.ticket import Ticket, TicketStep
from services.tickets.store import plans, tickets
from services.tickets.store.plans import SavedDraft
from services.tickets.study.ground import prepare
from services.tickets.study.measures import is_higher_better, measures_of
from shared.contracts.tickets import TicketState
from shared.flow.statistics.sealing import NotShown
from shared.policy import Policy
from shared.postgres.pool import Connection

DRAFTED = (TicketState.OPEN, TicketState.ACKNOWLEDGED, TicketState.SNOOZED)
_UNTESTABLE = {
    NotShown.TOO_FEW_WEEKS_BEFORE: "This measure has too few weeks to compare with, so its verdict would be that the"
    " change is not shown. Choose another measure or a later day, or seal it all the same.",
    NotShown.NO_VARIATION: "This measure has not moved in any week, so its verdict would be that the change is not"
    " shown. Choose another measure, or seal it all the same.",
}


class PlanChanges:
    """Drafts and seals, each in the caller's transaction. Wake the TicketPublisher after the commit.

    All of them return None where there is no such ticket, and raise NotPossibleError where they do not fit.
    """

    def __init__(self, changes: TicketChanges, policy: Policy) -> None:
        self._changes, self._policy = changes, policy

    async def save_draft(
        self, connection: Connection, number: int, draft: PlanDraft, version: int
    ) -> SavedDraft | None:
        """Save a draft, complete or not, made from `version` of the draft (0: there was none); acknowledges the ticket.

        Raises DraftChangedError where somebody else has saved another one since.
        """
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            return None
        if ticket.state not in DRAFTED:
            raise TooLateError(_no_draft(ticket))
        situation = await self._changes.situation(connection, ticket)
        saved = await plans.save_draft(connection, number, draft, version, situation.now)
        if ticket.state is not TicketState.ACKNOWLEDGED:
            await self._changes.save(connection, commands.acknowledge(ticket, situation.now))
        return saved

    async def seal(
        self, connection: Connection, number: int, version: int, draft_version: int, *, is_confirmed: bool = False
    ) -> Ticket | None:
        """Seal the draft, as it was shown with this version of the ticket and of the draft.

        Raises IncompletePlanError with every fault of the draft, and UnconfirmedError where it cannot be tested.
        """
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            return None
        situation = await self._changes.situation(connection, ticket)
        last = await plans.last_seal(connection, number)
        following = _number_after(last, ticket)
        saved = await plans.draft(connection, number)
        # The state comes first: what is sealed, or under way, needs no better draft.
        planning.seal(ticket, following, situation.today, situation.now)
        if saved.version != draft_version:
            raise DraftChangedError("The plan was saved anew since you opened the page; see what it says now.")
        if ticket.seq != version:
            raise ChangedMeanwhileError("The ticket has changed since you opened the page.")
        plan = complete(saved.draft, self._terms(ticket, situation))
        step = planning.seal(ticket, following, plan.change_date, situation.now)
        return await self._seal(connection, step, plan, situation, last, is_confirmed=is_confirmed)

    async def reschedule(
        self,
        connection: Connection,
        number: int,
        version: int,
        change_date: date | None,
        reason: str,
        *,
        is_confirmed: bool = False,
    ) -> Ticket | None:
        """Seal the plan in force anew, with another change date."""
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            return None
        situation = await self._changes.situation(connection, ticket)
        last = await plans.last_seal(connection, number)
        following = _number_after(last, ticket)

        def command() -> TicketStep:
            return planning.reschedule(ticket, following, change_date, reason, situation.now, situation.today)

        step = commands.run(ticket, version, command)
        if last is None or change_date is None:
            raise NotPossibleError("The ticket has no sealed plan.")
        plan = replace(last.plan, change_date=change_date)
        return await self._seal(connection, step, plan, situation, last, is_confirmed=is_confirmed)

    async def _seal(
        self,
        connection: Connection,
        step: TicketStep,
        plan: Plan,
        situation: Situation,
        last: SealedPlan | None,
        *,
        is_confirmed: bool,
    ) -> Ticket:
        """Add the seal, and make the change that puts it in force."""
        ticket = step.ticket
        ground = await self._ground(connection, ticket, plan, situation.now, is_confirmed=is_confirmed)
        assert ticket.plan is not None  # noqa: S101 (every such step sets it)
        before = last.hash if last else ""
        sealed = SealedPlan(ticket.id, ticket.cycle, ticket.plan, situation.now, step.reason, before, plan, ground)
        await plans.seal(connection, sealed)
        return (await self._changes.save(connection, step)).ticket

    async def _ground(
        self, connection: Connection, ticket: Ticket, plan: Plan, now: datetime, *, is_confirmed: bool
    ) -> SealedGround:
        """The weeks to compare with. What cannot be tested is sealed only where a person insists."""
        ground = await prepare(connection, ticket, plan, self._policy, now)
        reason = ground.measure.untestable
        if reason is not None and not is_confirmed and ground.opened is None:
            raise UnconfirmedError(_UNTESTABLE[reason])
        return ground

    def _terms(self, ticket: Ticket, situation: Situation) -> PlanTerms:
        return terms_of(self._policy, ticket, situation.today)


class TicketWriter(NamedTuple):
    """All that people may do to a ticket, for pages and the API. `issues`: where its issues may be."""

    changes: TicketChanges
    plans: PlanChanges
    issues: IssueHosts = NO_ISSUES


def terms_of(policy: Policy, ticket: Ticket, today: date) -> PlanTerms:
    """What a plan of the ticket can be about. Raises NotPossibleError where no weekly measure shows its problem."""
    charts = measures_of(ticket.problem, policy)
    if not charts:
        raise NotPossibleError(
            "No weekly measure belongs to this problem, so no study can show what a change did. Say what you did when"
            " you close the ticket."
        )
    higher = [chart for chart in charts if is_higher_better(chart, ticket.problem.kind)]
    return PlanTerms({chart.name: chart for chart in charts}, higher, policy, today)


def _number_after(last: SealedPlan | None, ticket: Ticket) -> int:
    return last.number + 1 if last is not None and last.cycle == ticket.cycle else 1


def _no_draft(ticket: Ticket) -> str:
    if ticket.is_open:
        return "The plan is sealed. Withdraw it, before its change date, to write another one."
    return "The ticket is closed. Reopen it to plan a change."
