"""Cause classes of problems, from the weekly charts of their stage."""

from __future__ import annotations

from collections.abc import Sequence

from services.detector.store import causes as cause_store
from services.detector.store.causes import KnownWeeks
from shared.flow.rules import KINDS, Rule
from shared.flow.statistics.cause import SPECIAL, UNKNOWN, Cause
from shared.flow.statistics.charts import ChartSegments
from shared.flow.statistics.findings import cause_at
from shared.flow.statistics.measures import WeeklyMeasures
from shared.flow.statistics.relocks import Relock
from shared.flow.statistics.weeks import Weeks
from shared.policy import Policy
from shared.postgres.pool import Connection
from shared.stream import relocks

CAUSE_COLUMNS = {column for rule in KINDS.values() for column, _ in rule.cause_charts}


class CauseFinder:
    """Reads each stage's charts once. For use within one transaction."""

    def __init__(self, connection: Connection, known: KnownWeeks | None, relocks: Sequence[Relock], zone: str) -> None:
        self._connection, self._known, self._relocks = connection, known, relocks
        self._weeks = None if known is None else Weeks(known.first_event, zone)
        self._charts: dict[tuple[str, str], ChartSegments] = {}

    @staticmethod
    async def load(connection: Connection, policy: Policy) -> CauseFinder:
        """With the weeks and relocks as they are stored."""
        known = [Relock.of(data) for data in await relocks.load(connection)]
        return CauseFinder(connection, await cause_store.known_weeks(connection), known, policy.timezone)

    async def of(self, rule: Rule, opened_at: int) -> Cause:
        """The class of a problem of the rule that opened at an instant."""
        if not rule.cause_charts:
            return SPECIAL
        if self._known is None or self._weeks is None:
            return UNKNOWN
        return cause_at(rule, opened_at, await self._charts_of(rule, self._known, self._weeks))

    async def _charts_of(self, rule: Rule, known: KnownWeeks, weeks: Weeks) -> ChartSegments:
        stage = rule.pipeline, rule.stage
        if stage not in self._charts:
            values = await cause_store.chart_values(self._connection, *stage, CAUSE_COLUMNS, known, weeks)
            self._charts[stage] = ChartSegments(WeeklyMeasures(weeks, values), weeks, self._relocks)
        return self._charts[stage]
