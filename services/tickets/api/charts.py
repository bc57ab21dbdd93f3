"""Charts of the API: weekly measures with their baselines, and new baselines."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.access.roles import Role, current_visitor
from services.tickets.api.answering import Answering, ChangeAnswer, IdempotencyKey
from services.tickets.api.faults import ApiFault
from services.tickets.api.models_of_flow import ChartBaseline, ChartPoint, ChartWhole
from services.tickets.api.parts import ApiParts
from services.tickets.api.preconditions import IfMatch, etag_of, matches
from services.tickets.charts.signals import ChartSignals, DrawnSegment, chart_signals
from services.tickets.domain.draft import Typed
from services.tickets.domain.faults import NotPossibleError
from services.tickets.relocking import lock_chart, relock, version_of
from services.tickets.store import weekly_points
from services.tickets.web import relock_form
from shared.contracts.relocks import WEEK_PATTERN, RelockData
from shared.flow.statistics.columns import Chart, Value, printed
from shared.flow.statistics.segments import BASELINE_LEAST, BASELINE_POINTS
from shared.flow.statistics.watched import charts_of
from shared.postgres.pool import Connection, snapshot
from shared.stream import relocks

ChartName = Annotated[str, Path(description="pipeline/stage/measure, `-` for the stage of a pipeline's measure")]


class NewBaseline(BaseModel):
    """A new baseline of a chart. `version`: of the chart as this was decided on; needed where no If-Match names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_week: str | None = Field(
        pattern=WEEK_PATTERN, description="its first week, 2026-W48; null: the first baseline, locked early"
    )
    points: int = Field(BASELINE_POINTS, ge=BASELINE_LEAST, le=BASELINE_POINTS)
    reason: Typed
    version: str | None = None
    confirmed: bool = Field(False, description="true: yes to the question of an answer 409")

    def form(self, seen: str) -> dict[str, str]:
        """The same as the form of its page."""
        return {
            "from_week": relock_form.FIRST if self.from_week is None else self.from_week,
            "points": str(self.points),
            "reason": self.reason,
            "seen": seen,
            "confirmed": "yes" if self.confirmed else "",
        }


class ChartEndpoints:
    def __init__(self, parts: ApiParts, answering: Answering) -> None:
        self._parts, self._answering = parts, answering
        self._charts = {chart.name: chart for chart in charts_of(parts.policy)}

    async def chart(self, response: Response, name: ChartName) -> ChartWhole:
        chart = self._existing(name)
        async with snapshot(self._parts.pool) as connection:
            whole = await self._whole(connection, chart)
        response.headers["ETag"] = etag_of(whole.version)
        return whole

    async def relock(
        self,
        request: Request,
        name: ChartName,
        baseline: NewBaseline,
        if_match: IfMatch = None,
        key: IdempotencyKey = None,
    ) -> Response:
        chart = self._existing(name)
        if current_visitor().role_in(chart.pipeline, self._parts.policy) < Role.OWNER:
            raise ApiFault(403, "only the owner of this pipeline sets a baseline; a token needs the scope own")

        async def carry_out(connection: Connection) -> ChangeAnswer:
            await self._carry_out(connection, chart, baseline, if_match)
            whole = await self._whole(connection, chart)
            return ChangeAnswer(whole, etag_of(whole.version))

        try:
            answer = await self._answering.once(request, key, carry_out)
        except NotPossibleError as error:
            raise ApiFault.refused(error, []) from None
        self._parts.published()
        return answer

    async def _carry_out(
        self, connection: Connection, chart: Chart, baseline: NewBaseline, if_match: str | None
    ) -> None:
        """Give a chart a new baseline. Raises ApiFault, and NotPossibleError."""
        await lock_chart(connection, chart)
        version = version_of(await relocks.load(connection, [chart.name]))
        if if_match is not None and not matches(if_match, version):
            raise ApiFault(412, f"If-Match: others decided on this chart; its ETag is {etag_of(version)} now")
        if if_match is None and baseline.version is None:
            raise ApiFault(422, "version: is missing; name the chart's `version`, or send its ETag as If-Match")
        if baseline.version not in (None, version):
            raise ApiFault(409, f"version: others decided on this chart meanwhile; it is at {version} now")
        signals, _ = await self._signals(connection, chart)
        weeks = [signals.weeks.name(point.week) for point in signals.points] if signals else []
        wish = relock_form.read_wish(baseline.form(version), weeks)
        if not wish.is_confirmed:
            said = relock_form.consequences(wish, signals) if signals else ["The chart has no week yet."]
            raise ApiFault(409, " ".join(said), confirm=True)
        data = wish.data(chart.name, self._parts.clock.now())
        await relock(connection, chart, data, wish.seen, self._parts.relocks_topic)

    async def _signals(self, connection: Connection, chart: Chart) -> tuple[ChartSignals | None, list[RelockData]]:
        """The chart with its baselines, None before its first week; and what was decided on them."""
        known = await weekly_points.load(connection, chart.pipeline, [chart], self._parts.policy.timezone)
        decided = list(await relocks.load(connection, [chart.name]))
        return (chart_signals(chart, known, decided, self._parts.policy) if known else None), decided

    async def _whole(self, connection: Connection, chart: Chart) -> ChartWhole:
        signals, decided = await self._signals(connection, chart)
        points = signals.points if signals else []
        return ChartWhole(
            name=chart.name,
            pipeline=chart.pipeline,
            stage=chart.stage or None,
            measure=chart.column,
            version=version_of(decided),
            points=[
                ChartPoint(week=signals.weeks.name(one.week), value=_shown(chart, one.value))
                for one in points
                if signals
            ],
            baselines=[_baseline(part, signals) for part in signals.parts if part.segment.points] if signals else [],
        )

    def _existing(self, name: str) -> Chart:
        chart = self._charts.get(name)
        if chart is None:
            raise ApiFault(404, "there is no such chart; /api/v1/pipelines names all")
        return chart


def _baseline(part: DrawnSegment, signals: ChartSignals) -> ChartBaseline:
    chart, limits, decided = signals.chart, part.xmr, part.relock
    lower = limits.lower if limits else None
    return ChartBaseline(
        from_week=signals.weeks.name(part.segment.points[0].week),
        points=part.segment.size,
        is_complete=part.segment.is_locked,
        centre=_shown(chart, limits.centre) if limits else None,
        lower=None if lower is None else _shown(chart, lower),
        upper=_shown(chart, limits.upper) if limits else None,
        reason=decided.reason if decided else None,
        decided_at=decided.at if decided else None,
    )


def _shown(chart: Chart, value: Value) -> float:
    return float(printed(chart.column, value) or 0)
