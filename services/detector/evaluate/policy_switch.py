"""Which version of the policy judges, where people edit it in the browser.

A version judges from its instant of judgement time on. Evaluation stops before that instant, and goes on by the new
version once the counts are rebuilt for it; intervals within the lateness before the instant are found anew. A version
that becomes known late, when evaluation has passed its instant, leads to the same intervals: it goes back as far.
"""

from __future__ import annotations

from services.detector.evaluate.rebuild import adopt, follow_policy
from services.detector.settings import DetectorSettings
from services.detector.store import evaluation
from shared.contracts.policies import PolicyVersionData
from shared.flow.ruleset import Ruleset
from shared.postgres.pool import TRANSIENT, Connection, Executor, Pool
from shared.runtime.instants import micros
from shared.runtime.log import logger
from shared.runtime.retry import retry_forever
from shared.stream import policies
from shared.stream.policies import PolicyInForce, file_policy

_log = logger(__name__)


class PolicySwitch:
    """Of one replica."""

    def __init__(self, settings: DetectorSettings) -> None:
        self._settings = settings

    async def start(self, pool: Pool) -> PolicyInForce:
        """The policy to judge by; the counts are rebuilt for it. Waits while the database is unavailable.

        Raises FaultsError where the file, or a version, is no policy.
        """
        found = await stored(self._settings, pool)
        await follow_policy(pool, Ruleset(found.policy), self._settings)
        if self._settings.is_policy_a_file:
            return found
        async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
            with attempt:
                while (following := await self._switch(pool)) is not None:
                    found = following
        return found

    async def number(self, executor: Executor) -> int:
        """The version that is to judge now."""
        known = await evaluation.policy_version(executor)
        following = await policies.next_of(executor, known)
        return known + 1 if following is not None and await _is_due(executor, following) else known

    async def edge(self, connection: Connection) -> int | None:
        """When the next version begins to judge, in microseconds; None: none is known."""
        if self._settings.is_policy_a_file:
            return None
        following = await policies.next_of(connection, await evaluation.policy_version(connection))
        return None if following is None else micros(following.effective_at)

    async def _switch(self, pool: Pool) -> PolicyInForce | None:
        """Go on to the next version, where it is due. One at a time: each judges from its own instant on."""
        async with pool.acquire() as connection, connection.transaction():
            await evaluation.lock(connection)
            following = await policies.next_of(connection, await evaluation.policy_version(connection))
            if following is None or not await _is_due(connection, following):
                return None
            found = PolicyInForce(following.version, following.text)
            await adopt(connection, Ruleset(found.policy), self._settings, micros(following.effective_at))
            await evaluation.save_policy_version(connection, found.version)
        _log.info("policy switched", version=found.version, effective_at=following.effective_at.isoformat())
        return found


async def _is_due(executor: Executor, version: PolicyVersionData) -> bool:
    """Whether everything before its instant is evaluated. The first version judges from the beginning on."""
    begins, reached = micros(version.effective_at), (await evaluation.state(executor)).watermark
    return begins <= 0 or (reached is not None and reached >= begins - 1)


async def stored(settings: DetectorSettings, pool: Pool) -> PolicyInForce:
    """The policy that the counts are built under, or the policy file. Waits while the database is unavailable."""
    found = None
    if not settings.is_policy_a_file:
        async for attempt in retry_forever(_log, "waiting for Postgres", TRANSIENT):
            with attempt:
                found = await policies.get(pool, await evaluation.policy_version(pool))
    return file_policy(settings) if found is None else PolicyInForce(found.version, found.text)
