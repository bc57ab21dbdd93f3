"""The desk: what messages and people do to tickets, each in one transaction with its history and its message."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from services.tickets.charts import data as picture
from services.tickets.domain import lifecycle
from services.tickets.domain.lifecycle import Ticket, TicketStep
from services.tickets.latest_count import MEASURE
from services.tickets.metrics import TicketMetrics
from services.tickets.store import tickets as store
from shared.contracts.dead import DeadReason
from shared.contracts.measures import MeasureEvent
from shared.contracts.notices import NoticeEvent
from shared.contracts.problems import ProblemData, ProblemEvent, ProblemInterval
from shared.contracts.stages import StageStatusEvent
from shared.contracts.tickets import TicketChange, TicketData, TicketEvent
from shared.contracts.topics import MEASURES, NOTICES, PROBLEMS, STAGE_STATUS, TICKETS
from shared.kafka.publisher import OutgoingMessage
from shared.policy import Policy
from shared.runtime.clock import Clock
from shared.stream import dead_letters, outbox, positions
from shared.wording.problem_text import tell

CONTRACTS: dict[str, type[ProblemEvent] | type[MeasureEvent] | type[NoticeEvent] | type[StageStatusEvent]] = {
    PROBLEMS: ProblemEvent,
    MEASURES: MeasureEvent,
    NOTICES: NoticeEvent,
    STAGE_STATUS: StageStatusEvent,
}
# These are told by mail, and carry the chart as it was then.
WITH_CHART = (TicketChange.OPENED, TicketChange.GREW, TicketChange.REOPENED, TicketChange.CLEARED)


class TicketHandlers:
    """Takes messages and a person's wishes. Not promised: that a message arrives once; a second one changes nothing."""

    def __init__(self, policy: Policy, url: str, topic_prefix: str, metrics: TicketMetrics, clock: Clock) -> None:
        self._policy, self._url, self._prefix = policy, url.rstrip("/"), topic_prefix
        self._metrics, self._clock = metrics, clock
        self._reopen_within = timedelta(microseconds=policy.reopen_within.micros())

    async def take(self, connection: Any, records: Sequence[ConsumerRecord]) -> int:
        """A batch of records in the caller's transaction; how many changes it made."""
        records = await positions.claim(connection, records)
        if not records:
            return 0
        read, dead = self._decode(records)
        await store.save_measures(connection, [e.data for e in read if isinstance(e, MeasureEvent)])
        await store.save_notices(connection, [e.data for e in read if isinstance(e, NoticeEvent)])
        if seen := [e.data for e in read if isinstance(e, StageStatusEvent)]:
            await store.save_stages(connection, seen)
            await self.learn_names(connection)
        problems = [e for e in read if isinstance(e, ProblemEvent)]
        new = await store.take(connection, [e.id for e in problems]) if problems else set()
        changes = 0
        for event in problems:
            if event.id in new:
                new.discard(event.id)
                changes += await self._problem(connection, event.data)
        await outbox.put(connection, dead)
        await positions.advance(connection, records)
        return changes

    async def learn_names(self, connection: Any) -> None:
        """From now on stages without a name in the policy are called as their CRM calls them."""
        self._policy.call(await store.stage_names(connection))

    def _decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[Any], list[OutgoingMessage]]:
        read, dead = [], []
        for record in records:
            topic = record.topic.removeprefix(self._prefix)
            try:
                read.append(CONTRACTS[topic].model_validate_json(record.value or b""))
            except ValidationError as error:
                detail = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors()[:5])
                dead.append(self._letter(record, DeadReason.BAD_SHAPE, detail))
        return read, dead

    def bury(self, record: ConsumerRecord, error: Exception) -> OutgoingMessage:
        """The dead letter of a record that could not be handled."""
        return self._letter(record, DeadReason.HANDLER, repr(error))

    def _letter(self, record: ConsumerRecord, reason: DeadReason, detail: str) -> OutgoingMessage:
        self._metrics.dead.inc()
        topic = record.topic.removeprefix(self._prefix)
        return dead_letters.of_record(record, topic, reason, detail, self._clock.now())

    async def _problem(self, connection: Any, problem: ProblemData) -> int:
        await store.save_problem(connection, problem, problem.reason in lifecycle.TAKEN_BACK)
        last = await store.last_of(connection, problem.key)
        steps = lifecycle.on_problem(last, problem, self._reopen_within)
        for step in steps:
            await self._save(connection, step)
        return len(steps)

    async def _save(self, connection: Any, step: TicketStep) -> TicketStep:
        step = await store.save(connection, step)
        await outbox.put(connection, [await self._message(connection, step)])
        self._metrics.changes[step.change].inc()
        return step

    async def act(self, connection: Any, number: int, wish: Callable[[Ticket, datetime], TicketStep]) -> Ticket | None:
        """What a person wants of a ticket; None when there is no such ticket, NotPossibleError when it does not fit."""
        ticket = await store.one(connection, number, lock=True)
        if ticket is None:
            return None
        return (await self._save(connection, wish(ticket, self._clock.now()))).ticket

    async def wake(self, connection: Any) -> int:
        """Tickets whose rest is over come back; how many."""
        now, woken = self._clock.now(), 0
        for ticket in await store.snoozed_until(connection, now):
            if step := lifecycle.wake(ticket, now):
                await self._save(connection, step)
                woken += 1
        return woken

    async def _message(self, connection: Any, step: TicketStep) -> OutgoingMessage:
        ticket, problem = step.ticket, step.ticket.problem
        words = tell(problem, self._policy)
        image = None
        if step.change in WITH_CHART and problem.kind in MEASURE:
            until = problem.cleared_at or problem.detected_at
            image = await picture.png_of(connection, problem, self._policy, max(until, self._clock.now()))
        data = TicketData(
            ticket=ticket.id,
            seq=ticket.seq,
            change=step.change,
            at=step.at,
            actor=step.actor,
            reason=step.reason,
            key=ticket.key,
            kind=problem.kind,
            pipeline=problem.pipeline,
            pipeline_name=words.pipeline,
            stage=problem.stage,
            stage_name=words.stage,
            state=ticket.state,
            outcome=ticket.outcome,
            title=words.title,
            sentence=words.sentence,
            asks_for=words.asks_for,
            cause_class=problem.cause_class,
            count=problem.count,
            peak=problem.peak,
            usual=problem.usual,
            opened_at=ticket.opened_at,
            problem=ProblemInterval(opened_at=problem.opened_at, cleared_at=problem.cleared_at, peak=problem.peak),
            snoozed_until=ticket.snoozed_until,
            evidence=problem.evidence,
            chart_png=base64.b64encode(image).decode() if image else None,
            chart_alt=words.finding,
            url=f"{self._url}/tickets/{ticket.id}",
        )
        event = TicketEvent(
            id=uuid4().hex,
            source="andon/tickets",
            type=f"andon.ticket.{step.change.value}",
            subject=str(ticket.id),
            time=step.at,
            data=data,
        )
        return OutgoingMessage(self._prefix + TICKETS, str(ticket.id).encode(), event.to_json())
