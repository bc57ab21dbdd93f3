"""The page of a chart: a weekly measure of a stage or pipeline with its baselines, and the form for a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.access.roles import Role, current_visitor
from services.tickets.charts import measure
from services.tickets.charts.signals import ChartSignals, chart_signals
from services.tickets.charts.spec import Drawing
from services.tickets.domain.faults import NotPossibleError
from services.tickets.relocking import relock, version_of
from services.tickets.store import problems, stages, weekly_points
from services.tickets.web import chart_words, forms, relock_form
from services.tickets.web.chart_frames import frames, page_or_drawing
from services.tickets.web.chart_links import chart_address
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from services.tickets.web.relock_form import RelockWish
from services.tickets.web.stage_rows import stage_address
from services.tickets.web.zones import page_zone
from shared.contracts.measures import Column
from shared.contracts.relocks import RelockData
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.forecast import Forecast, forecast
from shared.flow.statistics.segments import BASELINE_LEAST, BASELINE_POINTS
from shared.flow.statistics.watched import charts_of
from shared.policy import StageTitles
from shared.postgres.pool import snapshot
from shared.runtime.instants import moment
from shared.stream import relocks, stages_now
from shared.wording.measures import NAMES


@dataclass(frozen=True)
class ChartContent:
    """What the database has for a chart's page. `signals`: None before the first week with a value."""

    titles: StageTitles
    relocks: Sequence[RelockData]
    signals: ChartSignals | None
    history: Sequence[int]
    forecast: Forecast | None


@dataclass(frozen=True)
class RelockAnswer:
    """What became of a form. `wish`: it is to be confirmed; `has_changed`: others decided meanwhile."""

    error: NotPossibleError | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    wish: RelockWish | None = None
    has_changed: bool = False

    @property
    def status(self) -> int:
        return 422 if self.error else 409 if self.wish else 200


NOT_SENT = RelockAnswer()


class ChartPage:
    """One page for each chart of the policy.

    `published` is called after a commit that put a message into the outbox.
    """

    def __init__(self, context: PageContext, topic: str, published: Callable[[], None]) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error = context.html, context.error
        self._topic, self._published = topic, published
        self._charts = {chart.name: chart for chart in charts_of(context.policy)}

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/charts/{name:path}", self.chart, methods=["GET"]),
            Route("/charts/{name:path}", self.relock, methods=["POST"]),
        ]

    async def chart(self, request: Request) -> Response:
        chart = self._charts.get(request.path_params["name"])
        if chart is None:
            return self._no_chart()

        async def page() -> Response:
            return answer_if_changed(request, await self._page(chart, NOT_SENT))

        return await page_or_drawing(request, page)

    async def relock(self, request: Request) -> Response:
        """The form for a new baseline was sent."""
        chart = self._charts.get(request.path_params["name"])
        if chart is None:
            return self._no_chart()
        if not forms.is_same_origin(request):
            return self._error(403, "This form came from another site", "Open the chart's page and use its form.")
        if not self._may_relock(chart):
            return self._error(403, "Only its owner sets a new baseline", "Ask the owner of this pipeline.")
        form = {name: str(value) for name, value in (await request.form()).items()}
        try:
            wish = relock_form.read_wish(form, await self._weeks(chart))
        except NotPossibleError as error:
            return await self._page(chart, RelockAnswer(error, form))
        if not wish.is_confirmed or not await self._save(chart, wish):
            return await self._page(chart, RelockAnswer(None, form, wish, has_changed=wish.is_confirmed))
        self._published()
        return RedirectResponse(chart_address(chart), 303)

    def _choices(self, chart: Chart, signals: ChartSignals | None) -> list[str]:
        """The weeks from which this visitor may begin a baseline, the newest first."""
        if signals is None or not self._may_relock(chart):
            return []
        return [signals.weeks.name(one.week) for one in reversed(signals.points)]

    def _may_relock(self, chart: Chart) -> bool:
        return current_visitor().role_in(chart.pipeline, self._policy) >= Role.OWNER

    async def _save(self, chart: Chart, wish: RelockWish) -> bool:
        """Keep and publish a relock. False where others decided about the chart since the form was made."""
        data = wish.data(chart.name, self._clock.now())
        async with self._pool.acquire() as connection, connection.transaction():
            return await relock(connection, chart, data, wish.seen, self._topic)

    async def _weeks(self, chart: Chart) -> list[str]:
        """The weeks from which a baseline may begin, the newest first."""
        signals = (await self._load(chart)).signals
        return [signals.weeks.name(point.week) for point in reversed(signals.points)] if signals else []

    async def _load(self, chart: Chart) -> ChartContent:
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            known = await weekly_points.load(connection, chart.pipeline, [chart], self._policy.timezone)
            decided = await relocks.load(connection, [chart.name])
            open_stages = [(chart.pipeline, one) for one in self._policy.pipelines[chart.pipeline].open_stages]
            standing = await stages_now.by_minute(connection, open_stages)
            silent = await problems.is_a_source_silent(connection, chart.pipeline)
        signals = chart_signals(chart, known, decided, self._policy) if known else None
        if signals is None or not signals.points:
            return ChartContent(titles, decided, None, [], None)
        found, history = None, list[int]()
        if chart.column is Column.THROUGHPUT:
            history = [int(point.value) for point in signals.judged.points]
            found = forecast(history, sum(one.wip for one in standing.stages.values()), silent=silent)
        return ChartContent(titles, decided, signals, history, found)

    async def _page(self, chart: Chart, answer: RelockAnswer) -> Response:
        content = await self._load(chart)
        signals, place = content.signals, self._place(chart, content.titles)
        title = f"{NAMES[chart.column]}, {place}"
        return self._html(
            "chart.html",
            answer.status,
            title=title,
            pipeline=self._policy.pipelines[chart.pipeline].name,
            stage=content.titles.title(chart.pipeline, chart.stage) if chart.stage else None,
            stage_link=stage_address(chart.pipeline, chart.stage) if chart.stage else None,
            address=chart_address(chart),
            until=moment(signals.weeks.end(signals.points[-1].week)) if signals else None,
            charts=frames(chart_address(chart), self._charts_of(content), self._policy.timezone) if signals else [],
            meaning=chart_words.meaning(signals, self._policy) if signals else [],
            not_drawn=chart_words.not_drawn(signals) if signals else None,
            stands_out=chart_words.stands_out(signals) if signals else None,
            watched=chart_words.watched(signals) if signals else None,
            windows=[chart_words.look_sentence(one) for one in signals.windows] if signals else [],
            segments=chart_words.segment_rows(signals, self._policy) if signals else [],
            forecast=chart_words.forecast_sentences(content.forecast) if content.forecast else [],
            choices=self._choices(chart, signals),
            sizes=(BASELINE_LEAST, BASELINE_POINTS),
            max_reason=relock_form.MAX_REASON,
            seen=version_of(content.relocks),
            consequences=relock_form.consequences(answer.wish, signals) if answer.wish and signals else [],
            sent=answer,
            proposal=relock_form.proposal(signals) if signals else None,
            answer=answer is not NOT_SENT,
        )

    def _place(self, chart: Chart, titles: StageTitles) -> str:
        return titles.title(chart.pipeline, chart.stage) if chart.stage else self._policy.pipelines[chart.pipeline].name

    def _charts_of(self, content: ChartContent) -> list[Drawing]:
        signals, zone = content.signals, page_zone(self._policy.timezone)
        assert signals is not None  # noqa: S101 (the caller asks)
        found: list[Drawing | None] = [
            measure.week_chart(signals, self._policy, chart_words.finding(signals, self._policy), zone),
            measure.move_chart(signals, self._policy, zone),
        ]
        if content.forecast is not None:
            found.append(measure.forecast_fan(content.history, content.forecast))
        return [one for one in found if one is not None]

    def _no_chart(self) -> Response:
        return self._error(404, "There is no such chart", "The page of pipelines links all that there are.")
