"""Changes tickets: each change with its history and its message, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from services.tickets.charts.spec import Drawing
from services.tickets.charts.ticket import mail_chart
from services.tickets.domain import commands, lifecycle, studying
from services.tickets.domain.faults import NotPossibleError
from services.tickets.domain.planning import DECISIONS
from services.tickets.domain.ticket import WITHDRAWN, Ticket, TicketStep
from services.tickets.messages import WITH_CHART, ticket_event
from services.tickets.metrics import TicketMetrics
from services.tickets.plan_facts import plan_facts
from services.tickets.present import day_in, present, start_of
from services.tickets.store import cord_pulls, messages, problems, stages, studies, tickets
from services.tickets.store.cord_pulls import NewPull
from shared.contracts.problems import ProblemData, ProblemReason
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState
from shared.policy import Policy, StageTitles
from shared.postgres.locks import lock
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock
from shared.wording.problem_text import text_of


class Situation(NamedTuple):
    """When a person asks, `today` in the policy's zone, and whether the ticket is the newest one of its problem."""

    now: datetime
    today: date
    is_newest: bool


# What a person asks of a ticket. Raises NotPossibleError.
Command = Callable[[Ticket, Situation], TicketStep]


class TicketChanges:
    """What problems, people and time do to tickets. Wake the TicketPublisher after the commit.

    A message keeps what its chart shows. The chart is drawn later: drawing takes long, and a ticket's row is locked.
    """

    def __init__(self, policy: Policy, url: str, metrics: TicketMetrics, clock: Clock) -> None:
        self._policy, self._url, self._metrics, self._clock = policy, url.rstrip("/"), metrics, clock
        self._reopen_within = timedelta(microseconds=policy.reopen_within.micros())

    async def on_problem(self, connection: Connection, problem: ProblemData, titles: StageTitles) -> int:
        """Apply a message about a problem. Returns how many changes it made.

        After a restore of the database the detector may publish again the opening of an interval whose end is known
        here, under another id where late events had moved it. That opens nothing again.
        """
        if problem.reason is ProblemReason.OPENED and await problems.is_over(
            connection, problem.key, problem.opened_at
        ):
            return 0
        await problems.save(connection, problem, problem.reason in WITHDRAWN)
        newest = await tickets.lock_newest(connection, problem.key)
        steps = lifecycle.on_problem(newest, problem, self._reopen_within)
        for step in steps:
            await self.save(connection, step, titles)
        if any(step.ticket.outcome is TicketOutcome.RETRACTED for step in steps):
            steps += await self._reopen_lost_gain(connection, problem, titles)
        if newest is not None and not steps and (followed := lifecycle.follow(newest, problem)) != newest:
            await tickets.follow(connection, followed)
        return len(steps)

    async def _reopen_lost_gain(
        self, connection: Connection, problem: ProblemData, titles: StageTitles
    ) -> list[TicketStep]:
        """Open the ticket whose lost gain the newer one, which never should have been, kept from opening."""
        found = await tickets.lock_lost_gain(connection, problem.key)
        if found is None or not await tickets.is_newest(connection, found[0]):
            return []
        step = studying.reopen_lost_gain(*found, problem.detected_at)
        await self.save(connection, step, titles)
        return [step]

    async def act(self, connection: Connection, number: int, command: Command, version: int) -> Ticket | None:
        """Run a person's command, made from a page that showed `version` of the ticket, its `seq` then.

        None: there is no such ticket. Raises NotPossibleError where the command does not fit, and ChangedMeanwhileError
        where it fits, but was made from a page that is old.
        """
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            return None
        situation = await self.situation(connection, ticket)
        step = commands.run(ticket, version, lambda: command(ticket, situation))
        if step.ticket.state is TicketState.DOING:
            await self._check_doing_limit(connection, step.ticket)
        return (await self.save(connection, step)).ticket

    async def by_system(
        self, connection: Connection, number: int, decide: Callable[[Ticket, bool], Sequence[TicketStep]]
    ) -> Sequence[TicketStep]:
        """Make the changes that the system decides on a ticket, and on whether it is the newest one of its problem."""
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            return ()
        steps = decide(ticket, await tickets.is_newest(connection, ticket))
        return [await self.save(connection, step) for step in steps]

    async def situation(self, connection: Connection, ticket: Ticket) -> Situation:
        """The situation of a locked ticket."""
        now = await present(connection, self._clock)
        return Situation(now, day_in(self._policy.timezone, now), await tickets.is_newest(connection, ticket))

    async def wake_due(self, connection: Connection) -> int:
        """Wake the tickets whose snooze has ended. Returns how many."""
        now = await present(connection, self._clock)
        steps = [step for ticket in await tickets.lock_due(connection, now) if (step := lifecycle.wake(ticket, now))]
        for step in steps:
            await self.save(connection, step)
        return len(steps)

    async def begin_studies(self, connection: Connection) -> int:
        """Begin the studies of the plans whose change date has come. Returns how many."""
        zone = self._policy.timezone
        due = await tickets.lock_due_plans(connection, day_in(zone, await present(connection, self._clock)))
        for ticket in due:
            assert ticket.change_date is not None  # noqa: S101 (chosen by it)
            begun_at = start_of(ticket.change_date, zone).astimezone(UTC)
            await self.save(connection, studying.begin_study(ticket, begun_at))
        return len(due)

    async def save(
        self,
        connection: Connection,
        step: TicketStep,
        titles: StageTitles | None = None,
        pull: NewPull | None = None,
    ) -> TicketStep:
        """Write a change with its message. `pull`: the pull of a cord that the change is."""
        titles = titles or await stages.titles(connection, self._policy)
        step = await tickets.save(connection, step)
        if pull is not None:
            await cord_pulls.add(connection, step.ticket.id, step.ticket.seq, pull)
        await self._follow_study(connection, step)
        if step.actor is Actor.PERSON:
            for seconds in await cord_pulls.answer(connection, step.ticket.id, step.at):
                self._metrics.cord_answer_seconds.observe(seconds)
        text = text_of(step.ticket.problem, self._policy, titles)
        chart = await self._chart(connection, step, titles)
        plan = await plan_facts(connection, step.ticket, self._policy, titles)
        study = await studies.facts(connection, step.ticket) if plan else None
        cord = (await cord_pulls.facts(connection, [step.ticket.id])).get(step.ticket.id)
        await messages.add(connection, ticket_event(step, text, self._url, plan, study, cord), chart)
        self._metrics.changes[step.change].inc()
        return step

    async def _follow_study(self, connection: Connection, step: TicketStep) -> None:
        """Begin and end the study with the ticket's state, and keep what was decided on it."""
        ticket = step.ticket
        if ticket.state is TicketState.VERIFYING is not step.before:
            await studies.begin(connection, ticket, step.at)
        if step.before is TicketState.VERIFYING and not ticket.is_open and not ticket.has_verdict:
            await studies.end(connection, ticket, step.at)
        if step.change in DECISIONS:
            decided = ticket.cycle - (step.change is TicketChange.ADAPTED)
            await studies.decide(connection, ticket.id, decided, step.change, step.at, step.reason)

    async def _check_doing_limit(self, connection: Connection, ticket: Ticket) -> None:
        """Refuse another change of an owner who has as many under way as the policy allows."""
        name, limit = ticket.problem.pipeline, self._policy.doing_limit
        if name not in self._policy.pipelines:
            return
        owned = self._policy.owned_with(name)
        # Two tickets of one owner may start at once.
        await lock(connection, f"doing/{min(owned)}")
        others = await tickets.being_done(connection, owned, ticket.id)
        if len(others) >= limit:
            listed = ", ".join(f"ticket {number}" for number in others)
            raise NotPossibleError(
                f"No more than {limit} changes of one owner may be under way at once (doing_limit in the policy): first"
                f" finish or withdraw the change of {listed}."
            )

    async def _chart(self, connection: Connection, step: TicketStep, titles: StageTitles) -> Drawing | None:
        if step.change not in WITH_CHART:
            return None
        return await mail_chart(connection, step.ticket.problem, self._policy, titles, self._clock.now())
