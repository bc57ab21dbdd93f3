"""Takes pulls: each becomes a change of a ticket, with its message, and a row for the receipt, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from services.tickets.changes import TicketChanges
from services.tickets.cord import stage_numbers
from services.tickets.cord.metrics import CordMetrics, Way
from services.tickets.cord.problem import PullFacts
from services.tickets.cord.pull import Pull
from services.tickets.cord.steps import has_to_wait, steps_of
from services.tickets.domain.pull_faults import LinkRevoked
from services.tickets.domain.rates import Rate, Rates, TooOften
from services.tickets.domain.tokens import TOKEN, new_token
from services.tickets.present import present
from services.tickets.store import cord_links, cord_pulls, tickets
from services.tickets.store.cord_links import CordLink
from services.tickets.store.cord_pulls import NewPull, StoredPull
from shared.policy import Policy
from shared.postgres import locks
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.log import logger

_log = logger(__name__)
# A flood of pulls leaves connections to the database for the pages: so many work at once, and so many wait for them.
AT_ONCE, WAITING = 2, 60


class Cords:
    """The cords of all stages. `changed` is called after a commit that changed a ticket.

    `clock`: of tickets; `wall`: the one that the rate of a link is by.
    """

    def __init__(
        self,
        pool: Pool,
        policy: Policy,
        changes: TicketChanges,
        clock: Clock,
        rate: Rate,
        metrics: CordMetrics,
        changed: Callable[[], None],
        wall: Clock | None = None,
    ) -> None:
        self._pool, self._policy, self._changes, self._clock = pool, policy, changes, clock
        self._rates, self._metrics, self._changed, self._wall = (
            Rates[int](rate),
            metrics,
            changed,
            wall or SystemClock(),
        )
        self._gate, self._waiting = asyncio.Semaphore(AT_ONCE), 0
        self._reopen_within = timedelta(microseconds=policy.reopen_within.micros())

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for work on cords. Raises TooOften where too many wait for one."""
        if self._waiting >= WAITING:
            self._metrics.refused.labels("busy").inc()
            raise TooOften(timedelta(seconds=10))
        self._waiting += 1
        try:
            async with self._gate, self._pool.acquire() as connection:
                yield connection
        finally:
            self._waiting -= 1

    async def link(self, token: str) -> CordLink | None:
        """The link of a token, where it is in force and the policy still has the stage's cord."""
        if not TOKEN.fullmatch(token):
            return None
        async with self.connection() as connection:
            found = await cord_links.find(connection, token)
        if found is None or found.revoked_at is not None or not self._policy.has_cord(found.pipeline, found.stage):
            return None
        return found

    async def pull(self, link: CordLink, pull: Pull, receipt: str) -> str:
        """Take a pull by form; returns its receipt. Raises TooOften, LinkRevoked.

        `receipt`: as the form has it, by which a form that is sent twice is one pull. Another content is another pull.
        """
        async with self.connection() as connection, connection.transaction():
            await lock_cord(connection, link)
            stored = await cord_pulls.of_receipt(connection, receipt)
            if stored is not None and _is_same(stored, link, pull):
                return receipt
            receipt = receipt if stored is None else new_token()
            await self.take(connection, link, pull, receipt, Way.FORM)
        self._changed()
        return receipt

    async def take(self, connection: Connection, link: CordLink, pull: Pull, receipt: str, way: Way) -> None:
        """Take a pull in the caller's transaction, which holds the cord's lock; call `taken` after the commit.

        Raises TooOften, LinkRevoked. A pull that is rolled back counts for the rate all the same.
        """
        if not await cord_links.is_in_force(connection, link):
            raise LinkRevoked
        try:
            self._rates.take(link.id, self._wall.now())
        except TooOften:
            self._metrics.refused.labels("too-often").inc()
            raise
        facts = await self._facts(connection, link, pull)
        newest = await tickets.lock_newest(connection, facts.key)
        steps = steps_of(newest, facts, self._reopen_within)
        pulled, *after = steps
        new = _new_pull(facts, receipt, has_to_wait(newest))
        ticket = (await self._changes.save(connection, pulled, pull=new)).ticket
        for step in after:
            await self._changes.save(connection, step)
        self._metrics.pulls.labels(way.value).inc()
        _log.info("cord pulled", pipeline=link.pipeline, stage=link.stage, ticket=ticket.id)

    def taken(self) -> None:
        """A pull was committed."""
        self._changed()

    async def _facts(self, connection: Connection, link: CordLink, pull: Pull) -> PullFacts:
        now = await present(connection, self._clock)
        deal = await cord_pulls.known_deal(connection, link.pipeline, link.stage, pull.deal) if pull.deal else None
        standing = await stage_numbers.standing(connection, self._policy, link.pipeline, link.stage)
        return PullFacts(link.pipeline, link.stage, pull, now, standing, self._policy.digest, deal)


def _is_same(stored: StoredPull, link: CordLink, pull: Pull) -> bool:
    """Whether a form was sent twice: of the same stage, with the same words."""
    before = stored.pipeline, stored.stage, stored.seen, stored.day, stored.deal
    return before == (*link.stage_key, pull.seen, pull.day, pull.deal)


async def lock_cord(connection: Connection, link: CordLink) -> None:
    """One pull of a stage at a time: two first ones at once would both open a ticket."""
    await locks.lock(connection, f"cord:{link.pipeline}/{link.stage}")


def _new_pull(facts: PullFacts, receipt: str, waited: bool) -> NewPull:
    pull = facts.pull
    return NewPull(receipt, facts.pipeline, facts.stage, facts.at, pull.seen, pull.day, pull.deal, waited)
