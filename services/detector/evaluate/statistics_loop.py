"""The loop of what is learned week by week: limits, counts, chances, and the cause classes that weekly charts give."""

from __future__ import annotations

from collections.abc import Callable

from services.detector.evaluate.learner import Learner
from services.detector.metrics import DetectorMetrics
from services.detector.publish.cause_revisions import CauseReviser
from services.detector.publish.problems import ProblemPublisher
from services.detector.settings import DetectorSettings
from shared.contracts.problems import ProblemReason
from shared.flow.ruleset import Ruleset
from shared.postgres.backlog import run_backlog
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock
from shared.runtime.log import logger
from shared.runtime.pace import WorkShare

_log = logger(__name__)
STATISTICS_SECONDS = 5.0


class StatisticsLoop:
    """`published` is called when problems were put into the outbox."""

    def __init__(
        self,
        pool: Pool,
        ruleset: Ruleset,
        settings: DetectorSettings,
        metrics: DetectorMetrics,
        clock: Clock,
        published: Callable[[], None],
    ) -> None:
        publisher = ProblemPublisher(ruleset, settings.topic_prefix)
        self._learner, self._reviser = Learner(ruleset, publisher), CauseReviser(ruleset, publisher)
        self._pool, self._clock, self._metrics, self._published = pool, clock, metrics, published

    async def run(self) -> None:
        """Run until cancelled. Waits while the database is unavailable."""
        # A backlog of stages takes at most a fifth of the time: passes and new events come first.
        pace = WorkShare(1 / 5, STATISTICS_SECONDS)
        await run_backlog(self.run_once, pace, _log, "learning postponed: database unavailable")

    async def run_once(self) -> bool:
        """Take up some stages; whether none are left. Raises OtherPolicyError where another policy is in force."""
        now = self._clock.now()
        async with self._pool.acquire() as connection, connection.transaction():
            done = await self._learner.learn_some(connection, now)
            revised = await self._reviser.revise(connection, now)
        for reason in (*done.published, *[ProblemReason.REVISED] * revised):
            self._metrics.messages[reason].inc()
        if done.published or revised:
            self._published()
        return done.is_complete
