"""What messages and the API say of a ticket's plan."""

from __future__ import annotations

from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.store import plans
from services.tickets.study.change_weeks import looks_of
from shared.contracts.tickets import PlanFacts, PredictedFacts, TaskFacts
from shared.flow.statistics.columns import Chart
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Executor
from shared.wording.measures import NAMES


async def plan_facts(executor: Executor, ticket: Ticket, policy: Policy, titles: StageTitles) -> PlanFacts | None:
    """The plan that is in force, or was studied; None where there is none."""
    if ticket.plan is None:
        return None
    sealed = await plans.sealed(executor, ticket.id, ticket.cycle, ticket.plan)
    return sealed_facts(sealed, policy, titles) if sealed else None


def sealed_facts(sealed: SealedPlan, policy: Policy, titles: StageTitles) -> PlanFacts:
    """A sealed plan as messages say it."""
    plan, predicted = sealed.plan, sealed.plan.predicted
    size = None if predicted.size is None else str(predicted.size)
    return PlanFacts(
        cycle=sealed.cycle,
        number=sealed.number,
        measure=plan.measure.name,
        measure_words=measure_words(plan.measure, policy, titles),
        change=plan.change,
        change_date=plan.change_date,
        predicted=PredictedFacts(size=size, unit=predicted.unit.value, why=predicted.why),
        hash=sealed.hash,
        looks=looks_of(sealed),
        tasks=tuple(TaskFacts(what=task.what, who=task.who, by=task.by) for task in plan.tasks),
    )


def measure_words(chart: Chart, policy: Policy, titles: StageTitles) -> str:
    """`Time in stage (median), Proposal`; a pipeline's measure with the pipeline's name.

    What the policy no longer has goes by its id.
    """
    pipeline = policy.pipelines.get(chart.pipeline)
    whole = pipeline.name if pipeline else chart.pipeline
    return f"{NAMES[chart.column]}, {titles.title(chart.pipeline, chart.stage) if chart.stage else whole}"
