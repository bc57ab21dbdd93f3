"""What is being tried on a ticket, and what was tried before: as its page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.tickets.charts.change import change_chart
from services.tickets.charts.spec import WeekGroups
from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.present import day_in
from services.tickets.store import plans, studies, weekly_points
from services.tickets.study.confounding import overlapping, span_of
from services.tickets.study.record import Study
from services.tickets.web.plan_view import NO_STUDY, earlier_attempts, sealed_view, study_view
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Executor


@dataclass(frozen=True)
class TriedPlans:
    """The plans of a ticket and their studies, oldest first.

    `sealed`: the plan in force, or the one that was studied. `confounded`: tickets whose changes overlap with it.
    `today`: in the policy's zone.
    """

    has_draft: bool
    seals: Sequence[SealedPlan]
    studies: Sequence[Study]
    sealed: SealedPlan | None
    confounded: Sequence[int]
    today: date

    def parts(self, ticket: Ticket, policy: Policy, titles: StageTitles) -> dict[str, Any]:
        """The values of the templates."""
        sealed = self.sealed
        plan = sealed_view(sealed, ticket.problem.kind, policy, titles) if sealed else None
        study = next((one for one in self.studies if one.key.cycle == ticket.cycle), None)
        return {
            "plan": plan,
            "study": study_view(study, plan.looks, self.today) if plan else NO_STUDY,
            "confounded": self.confounded,
            "attempts": earlier_attempts(self.seals, self.studies, ticket, policy, titles),
            "has_draft": self.has_draft,
        }


async def drawing(executor: Executor, tried: TriedPlans, policy: Policy) -> WeekGroups | None:
    """The weeks around the change of the plan; None before the first one after it."""
    sealed = tried.sealed
    if sealed is None or sealed.plan.measure.pipeline not in policy.pipelines:
        return None
    measure = sealed.plan.measure
    known = await weekly_points.load(executor, measure.pipeline, [measure], policy.timezone)
    return change_chart(sealed, known, policy) if known else None


async def load(executor: Executor, ticket: Ticket, policy: Policy, now: datetime) -> TriedPlans:
    """Read the plans of a ticket."""
    seals, here = await plans.seals(executor, ticket.id), (ticket.cycle, ticket.plan)
    sealed = next((one for one in seals if (one.cycle, one.number) == here), None)
    span = span_of(ticket, sealed) if sealed else None
    return TriedPlans(
        (await plans.draft(executor, ticket.id)).version > 0,
        seals,
        await studies.of_ticket(executor, ticket.id),
        sealed,
        await overlapping(executor, span) if span else (),
        day_in(policy.timezone, now),
    )
