"""A database, and the hooks of one replica of the notifier on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from services.notifier.hooks.config import parse
from services.notifier.hooks.loops import Hooks
from services.notifier.settings import NotifierSettings
from shared.contracts.tickets import TicketEvent
from shared.postgres.pool import Pool, open_pool
from shared.stream.processor import Received
from shared.stream.transaction import PostgresTransactions
from tests.support.notices import handler_of, writer_of
from tests.support.problems import policy

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SETTINGS = NotifierSettings(notifier_hooks_allow="127.0.0.0/8")
STATES = "SELECT hook, ticket, reason, state, attempts, answer FROM hook_delivery ORDER BY id"
# As if all pauses and claims were over.
HURRY = """
UPDATE hook_delivery SET due = clock_timestamp(),
    claimed_until = CASE WHEN claimed_until IS NOT NULL THEN clock_timestamp() - interval '1 second' END
WHERE state = 'waiting'
"""
UNPAUSE = "UPDATE hook SET paused_until = NULL"


class HookRig:
    """Replicas that share a database. `entries`: url and further fields of each receiver, by name."""

    def __init__(self, pool: Pool, **entries: Any) -> None:
        self.pool, self.registry, self.settings = pool, CollectorRegistry(), SETTINGS
        lines = [f"  {name}: {{kind: webhook, secrets: [{SECRET}], {entry}}}" for name, entry in entries.items()]
        self.receivers = parse("\n".join(["hooks:", *lines]), policy(), self.settings.hooks_reachable)
        self.hooks = self.replica()

    def replica(self) -> Hooks:
        self.registry = CollectorRegistry()
        return Hooks(self.settings, self.receivers, self.pool, self.registry)

    async def handle(self, *events: TicketEvent) -> None:
        """Each change in a batch of its own."""
        handler = handler_of(writer_of(policy()), hooks=self.hooks.writer, written=self.hooks.wake)
        for event in events:
            async with PostgresTransactions(self.pool).begin() as transaction:
                await handler.handle(transaction, [Received(None, event)])  # type: ignore[arg-type]

    async def states(self) -> list[tuple[int, str, str]]:
        return [(row["ticket"], row["reason"], row["state"]) for row in await self.pool.fetch(STATES)]

    async def rows(self) -> list[Any]:
        return list(await self.pool.fetch(STATES))

    async def hurry(self) -> None:
        """Let all that waits be due."""
        await self.pool.execute(UNPAUSE)
        await self.pool.execute(HURRY)

    @asynccontextmanager
    async def at_work(self, *replicas: Hooks) -> AsyncIterator[None]:
        """The workers of these replicas, of the first one where none is named."""
        tasks = [asyncio.ensure_future(loop()) for hooks in replicas or (self.hooks,) for loop in hooks.loops()]
        try:
            yield
            assert not [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    opened = await open_pool(dsn, "notices")
    yield opened
    await opened.close()


MakeRig = Callable[..., HookRig]


@pytest.fixture
def rig(pool: Pool) -> MakeRig:
    def make(**entries: Any) -> HookRig:
        return HookRig(pool, **entries)

    return make


def is_all(state: str) -> Callable[[Sequence[tuple[int, str, str]]], bool]:
    return lambda found: bool(found) and {one for _, _, one in found} == {state}
