"""Publishes the messages of tickets, in the order of each ticket's changes.

1. Read the oldest pending messages.
2. Draw the chart of one, with no transaction open and no row locked.
3. In a short transaction, delete it from the pending ones and put it into the outbox.

After a crash, pending messages are drawn again, from the same values. Replicas may draw the same chart; only
the one that deletes the message publishes it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable

from services.tickets.charts.drawing import DRAWINGS
from services.tickets.metrics import TicketMetrics
from services.tickets.store import messages
from services.tickets.store.messages import PendingMessage
from shared.contracts.tickets import TicketEvent
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime import tracing
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.waiting import wait_within
from shared.stream import outbox

_log = logger(__name__)
BATCH = 20
# How often to look for messages of a replica that has crashed, or failed transactions. Others wake this one.
POLL_SECONDS = 5.0
LOOP = "ticket messages"


class TicketPublisher:
    """Draws charts and fills the outbox. Set `wake` after a commit that changed tickets.

    `published` is called after each message; `draw` makes the PNG of a chart that was written as JSON.
    """

    def __init__(
        self,
        pool: Pool,
        topic: str,
        published: Callable[[], None],
        metrics: TicketMetrics,
        progress: Progress,
        draw: Callable[[bytes], Awaitable[bytes]] = DRAWINGS.png,
    ) -> None:
        self._pool, self._topic, self._published = pool, topic, published
        self._metrics, self._progress, self._draw = metrics, progress, draw
        self.wake = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. Waits while the database is unavailable."""
        self._progress.expect(LOOP, 60)
        while True:
            self.wake.clear()
            try:
                while await self.run_once():
                    pass
            except TRANSIENT as error:
                _log.warning("ticket messages wait: database unavailable", error=repr(error))
            await self._wait()

    async def run_once(self) -> int:
        """Publish a batch. Returns how many messages that were. Stops where another replica was first."""
        published = 0
        self._progress.beat(LOOP)
        for pending in await messages.pending(self._pool, BATCH):
            with tracing.handling("publish ticket", [pending.event]):
                is_ours = await self._publish(pending, await self._with_chart(pending))
            if not is_ours:
                break
            published += 1
            self._published()
            self._progress.beat(LOOP)
        return published

    async def _with_chart(self, pending: PendingMessage) -> bytes:
        """The message with its chart. Without one where drawing fails: the manager must get the mail.

        A chart that another version wrote, and this one cannot read, must not hold up all other messages either.
        """
        if pending.chart is None:
            return pending.event
        try:
            return _add_chart(pending.event, await self._draw(pending.chart))
        except Exception as error:
            self._metrics.charts_failed.inc()
            _log.error("chart cannot be drawn", ticket=pending.ticket, error=repr(error), exc_info=error)
            return pending.event

    async def _publish(self, pending: PendingMessage, event: bytes) -> bool:
        async with self._pool.acquire() as connection, connection.transaction():
            is_ours = await messages.claim(connection, pending.id)
            if is_ours:
                await outbox.put(connection, [OutgoingMessage(self._topic, str(pending.ticket).encode(), event)])
            return is_ours

    async def _wait(self) -> None:
        await wait_within(self.wake, POLL_SECONDS)


def _add_chart(event: bytes, image: bytes) -> bytes:
    message = TicketEvent.model_validate_json(event)
    data = message.data.model_copy(update={"chart_png": base64.b64encode(image).decode()})
    return message.model_copy(update={"data": data}).to_json()
