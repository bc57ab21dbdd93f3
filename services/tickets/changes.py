"""Changes tickets: each change with its history and its message, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from services.tickets.charts.spec import Drawing
from services.tickets.charts.ticket import mail_chart
from services.tickets.domain import lifecycle
from services.tickets.domain.lifecycle import Ticket, TicketStep
from services.tickets.messages import WITH_CHART, ticket_event
from services.tickets.metrics import TicketMetrics
from services.tickets.store import messages, problems, stages, tickets
from shared.contracts.problems import ProblemData, ProblemReason
from shared.policy import Policy, StageTitles
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock
from shared.wording.problem_text import text_of

# What a person asks of a ticket, as of an instant, and whether it is the newest one of its problem.
# Raises NotPossibleError.
Command = Callable[[Ticket, datetime, bool], TicketStep]


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
        await problems.save(connection, problem, problem.reason in lifecycle.WITHDRAWN)
        newest = await tickets.lock_newest(connection, problem.key)
        steps = lifecycle.on_problem(newest, problem, self._reopen_within)
        for step in steps:
            await self._save(connection, step, titles)
        if newest is not None and not steps and (followed := lifecycle.follow(newest, problem)) != newest:
            await tickets.follow(connection, followed)
        return len(steps)

    async def act(self, connection: Connection, number: int, command: Command, version: int) -> Ticket | None:
        """Run a person's command, made from a page that showed `version` of the ticket, its `seq` then.

        None: there is no such ticket. Raises NotPossibleError where the command does not fit, and ChangedMeanwhileError
        where it fits, but was made from a page that is old.
        """
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            return None
        is_newest = await tickets.is_newest(connection, ticket)
        step = lifecycle.run(ticket, version, lambda: command(ticket, self._clock.now(), is_newest))
        return (await self._save(connection, step, await stages.titles(connection, self._policy))).ticket

    async def wake_due(self, connection: Connection) -> int:
        """Wake the tickets whose snooze has ended. Returns how many."""
        now = self._clock.now()
        steps = [step for ticket in await tickets.lock_due(connection, now) if (step := lifecycle.wake(ticket, now))]
        titles = await stages.titles(connection, self._policy) if steps else StageTitles.of(self._policy)
        for step in steps:
            await self._save(connection, step, titles)
        return len(steps)

    async def _save(self, connection: Connection, step: TicketStep, titles: StageTitles) -> TicketStep:
        step = await tickets.save(connection, step)
        text = text_of(step.ticket.problem, self._policy, titles)
        chart = await self._chart(connection, step, titles)
        await messages.add(connection, ticket_event(step, text, self._url), chart)
        self._metrics.changes[step.change].inc()
        return step

    async def _chart(self, connection: Connection, step: TicketStep, titles: StageTitles) -> Drawing | None:
        if step.change not in WITH_CHART:
            return None
        return await mail_chart(connection, step.ticket.problem, self._policy, titles, self._clock.now())
