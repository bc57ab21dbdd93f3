"""Handles the messages that tickets consumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from aiokafka import ConsumerRecord

from services.tickets.changes import TicketChanges
from services.tickets.store import daily_points, inbox, notices, revised_points, stages, studies
from services.tickets.store import now as now_store
from shared.contracts.measures import MeasureData, MeasureEvent
from shared.contracts.notices import NoticeEvent
from shared.contracts.now import NowEvent
from shared.contracts.problems import ProblemEvent
from shared.contracts.relocks import RelockEvent
from shared.contracts.stages import StageStatusEvent
from shared.contracts.topics import MEASURES, NOTICES, NOW, PROBLEMS, RELOCKS, STAGE_STATUS
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.runtime.clock import Clock
from shared.runtime.log import logger
from shared.stream import relocks, weekly_points
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction

_log = logger(__name__)
ConsumedEvent = ProblemEvent | MeasureEvent | NoticeEvent | StageStatusEvent | NowEvent | RelockEvent
Event = TypeVar("Event", ProblemEvent, MeasureEvent, NoticeEvent, StageStatusEvent, NowEvent, RelockEvent)
DECODERS: Mapping[str, Decoder[ConsumedEvent]] = {
    PROBLEMS: contract(ProblemEvent),
    MEASURES: contract(MeasureEvent),
    NOTICES: contract(NoticeEvent),
    STAGE_STATUS: contract(StageStatusEvent),
    NOW: contract(NowEvent),
    RELOCKS: contract(RelockEvent),
}


class TicketHandlers:
    """A `Handler`: problems change tickets; all other messages are kept for the pages.

    `changed` is called after a commit that changed tickets, `studied` after one of something that studies rest on.
    """

    decoders = DECODERS

    def __init__(
        self,
        changes: TicketChanges,
        policy: Policy,
        clock: Clock,
        changed: Callable[[], None],
        studied: Callable[[], None] = lambda: None,
    ) -> None:
        self._changes, self._policy, self._clock = changes, policy, clock
        self._changed, self._studied = changed, studied

    async def handle(self, transaction: Transaction, messages: list[Received[ConsumedEvent]]) -> None:
        """Save all facts first: the charts of the problems show them."""
        connection = transaction.connection
        found = [one.message.data for one in _of(messages, ProblemEvent)]
        studied = await _save_points(connection, [one.message.data for one in _of(messages, MeasureEvent)])
        await relocks.save(connection, [one.message.data for one in _of(messages, RelockEvent)])
        await notices.save(connection, [one.message.data for one in _of(messages, NoticeEvent)])
        await stages.save(connection, [one.message.data for one in _of(messages, StageStatusEvent)])
        await now_store.save(connection, [one.message.data for one in _of(messages, NowEvent)])
        # Before any ticket is locked: studies read this with their ticket locked.
        studied |= {pipeline for problem in found if problem.source for pipeline in problem.pipelines}
        studied |= await studies.studied_pipelines(connection, {problem.key for problem in found})
        await studies.mark_input(connection, studied)
        await self._on_problems(transaction, _of(messages, ProblemEvent))
        if studied:
            transaction.after_commit(self._studied)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""

    async def _on_problems(self, transaction: Transaction, received: list[Received[ProblemEvent]]) -> None:
        new = await inbox.add(transaction.connection, received, self._clock.now())
        if not new:
            return
        titles, changes = await stages.titles(transaction.connection, self._policy), 0
        for event in (one.message for one in received):
            if event.id in new:
                new.discard(event.id)
                changes += await self._changes.on_problem(transaction.connection, event.data, titles)
        if changes:
            transaction.after_commit(self._changed)
            transaction.after_commit(lambda: _log.info("tickets changed", changes=changes))


async def _save_points(connection: Connection, points: Sequence[MeasureData]) -> set[str]:
    """Save the points of all periods. Returns the pipelines of which weeks are new or have changed."""
    weekly = [point for point in points if point.period == "week"]
    await daily_points.save(connection, [point for point in points if point.period == "day"])
    await revised_points.save_replaced(connection, weekly)
    return {row["pipeline"] for row in await weekly_points.save(connection, weekly)}


def _of(messages: Sequence[Received[ConsumedEvent]], event: type[Event]) -> list[Received[Event]]:
    return [Received(one.record, one.message) for one in messages if isinstance(one.message, event)]
