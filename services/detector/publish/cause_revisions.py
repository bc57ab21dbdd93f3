"""Publishes problems again whose cause class changed with weekly measures or relocks."""

from __future__ import annotations

from datetime import datetime

from services.detector.publish.causes import CauseFinder
from services.detector.publish.problems import ProblemPublisher, RuleRevision
from services.detector.store import causes as cause_store
from services.detector.store import evaluation
from services.detector.store.causes import PublishedCause
from shared.contracts.problems import CauseClass, ProblemReason
from shared.flow.revisions import Revision
from shared.flow.ruleset import Ruleset
from shared.flow.statistics.cause import Cause
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import Connection


class CauseReviser:
    """Keeps nothing between runs: all state is in the database."""

    def __init__(self, ruleset: Ruleset, publisher: ProblemPublisher) -> None:
        self._ruleset, self._publisher = ruleset, publisher
        self._rules = {rule.key: rule for rule in ruleset.rules}

    async def revise(self, connection: Connection, now: datetime) -> int:
        """Put messages into the outbox, in the caller's transaction; returns how many.

        0 while another replica evaluates, on hold, and while weeks that are over are not computed.
        """
        if not await cause_store.is_stale(connection) or not await evaluation.try_lock(connection):
            return 0
        watermark, is_held = await evaluation.state(connection)
        known = await cause_store.known_weeks(connection)
        if watermark is None or is_held or known is None or known.over < self._over(known.first_event, watermark):
            return 0
        finder = await CauseFinder.load(connection, self._ruleset.policy)
        revisions, unpublished = list[RuleRevision](), dict[tuple[str, int], Cause]()
        for one in await cause_store.take_stale(connection, list(self._rules)):
            cause = await finder.of(self._rules[one.key], one.interval.opened_at)
            if _is_worth_publishing(one, cause):
                revision = Revision(ProblemReason.REVISED, one.interval, one.interval)
                revisions.append(RuleRevision(self._rules[one.key], revision, one.historic))
            else:
                unpublished[one.key, one.interval.opened_at] = cause
        await cause_store.save(connection, unpublished)
        await self._publisher.publish_problems(connection, revisions, watermark, now)
        return len(revisions)

    def _over(self, first_event: int, watermark: int) -> int:
        return Weeks(first_event, self._ruleset.policy.timezone).over(watermark)


def _is_worth_publishing(one: PublishedCause, cause: Cause) -> bool:
    """A changed class is; a changed number of weeks only while there are too few of them."""
    if cause.cause is not one.cause:
        return True
    return cause.cause is CauseClass.UNKNOWN and (cause.points, cause.needed) != (one.points, one.needed)
