"""Messages of `flow.problems` about what charts show, and about silent sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.analyst.evaluate.findings import OpeningDetail, RuleFinding
from services.analyst.settings import EVENT_SOURCE
from shared.contracts.problems import ProblemData
from shared.flow.problem_fields import problem_fields
from shared.flow.revisions import Revision
from shared.policy import Policy
from shared.postgres.pool import Connection, Record
from shared.stream.problems import ProblemOutbox


class FindingRevision(NamedTuple):
    """A revision of one of a rule's intervals, and whether it is historic."""

    finding: RuleFinding
    revision: Revision
    historic: bool


class ProblemMessages:
    """Puts messages into the outbox, in the caller's transaction."""

    def __init__(self, policy: Policy, topic_prefix: str) -> None:
        self._policy, self._problems = policy, ProblemOutbox(EVENT_SOURCE, topic_prefix)

    async def put(self, connection: Connection, revisions: Sequence[FindingRevision], now: datetime) -> None:
        """One message for each revision, in the order of their instants."""
        await self._problems.put(connection, [self._data(one, now) for one in revisions])

    async def put_unruled(self, connection: Connection, rows: Sequence[Record], now: datetime) -> None:
        """Retract the intervals of rules that the policy no longer has; `rows` are those of `problem`."""
        await self._problems.put_unruled(connection, rows, now)

    def _data(self, revised: FindingRevision, now: datetime) -> ProblemData:
        rule, revision = revised.finding.rule, revised.revision
        detail = revised.finding.details.get(revision.interval.opened_at, OpeningDetail(rule.cause))
        return ProblemData(
            **problem_fields(rule, revision, revised.historic, self._policy.digest, now),
            source=rule.source,
            count=revision.interval.peak,
            threshold=detail.threshold,
            cause_class=detail.cause,
            chance=float(rule.per_quarter),
            signal=detail.signal,
            bottleneck=detail.bottleneck,
            heard_at=detail.heard_at,
            pipelines=detail.pipelines,
        )
