"""The page of a pipeline's forecast: when some of its deals will be closed, and how many by a day.

Everything is in the address: it can be sent, and works without scripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.charts.measure import forecast_fan
from services.tickets.charts.signals import chart_signals
from services.tickets.charts.spec import Drawing
from services.tickets.store import problems, stages, weekly_points
from services.tickets.web import chart_words
from services.tickets.web.chart_frames import PARAMETER, frames, page_or_drawing
from services.tickets.web.chart_links import chart_address
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from shared.contracts.measures import Column
from shared.flow.statistics.columns import Chart
from shared.flow.statistics.forecast import Forecast, Outlook, forecast
from shared.policy import StageTitles
from shared.postgres.pool import snapshot
from shared.runtime.instants import moment
from shared.stream import relocks, stages_now
from shared.stream.stages_now import StagesNow
from shared.wording.quantities import deals

PIPELINE, STAGE, DEALS, BY = "pipeline", "stage", "deals", "by"
_MOST_DEALS, _YEAR = 100_000, 52
_SHOWN_WEEKS = (1, 2, 4, 8, 13, 26)


@dataclass(frozen=True)
class ForecastWish:
    """Which deals: those in `stages`, or a number of them. `by`: a day to count to. `faults`: by name of the field."""

    stages: Sequence[str]
    deals: str
    by: str
    faults: Mapping[str, str]

    @property
    def number(self) -> int | None:
        return int(self.deals) if self.deals and DEALS not in self.faults else None

    def weeks(self, today: date) -> int | None:
        """How many whole weeks there are until the day; None where none is asked for."""
        if not self.by or BY in self.faults:
            return None
        return (date.fromisoformat(self.by) - today).days // 7


@dataclass(frozen=True)
class ForecastContent:
    """What the database has. `history`: closings by week; `until`: the end of the last of them."""

    titles: StageTitles
    standing: StagesNow
    history: Sequence[int]
    until: datetime | None
    is_silent: bool


class ForecastPage:
    """The page of a pipeline's forecast."""

    def __init__(self, context: PageContext) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error = context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [Route("/forecast", self.page)]

    async def page(self, request: Request) -> Response:
        """What the pipeline's own weeks promise for the chosen deals."""
        name = request.query_params.get(PIPELINE, next(iter(self._policy.pipelines)))
        if name not in self._policy.pipelines:
            return self._error(
                404, "The policy has no such pipeline", "The page of pipelines shows all that there are."
            )
        return await page_or_drawing(request, lambda: self._page(request, name))

    async def _page(self, request: Request, name: str) -> Response:
        content, today = await self._load(name), self._today()
        wish = read_wish(request, self._policy.pipelines[name].open_stages, today)
        chosen = self._chosen(name, wish, content.standing)
        found = forecast(content.history, chosen, silent=content.is_silent) if content.history else None
        page = self._html(
            "forecast.html",
            422 if wish.faults else 200,
            key=name,
            pipeline=self._policy.pipelines[name],
            pipelines={key: one.name for key, one in self._policy.pipelines.items()},
            wish=wish,
            choices=self._choices(name, content),
            chosen=chosen,
            found=found,
            # The chosen deals have a sentence of their own.
            promises=chart_words.forecast_sentences(replace(found, done_in_weeks=None)) if found else [],
            done=_done(found, chosen),
            by=_by(found, content.history, wish.weeks(today)),
            rows=_rows(found, content.history),
            charts=frames(_address(request), self._charts_of(content.history, found), self._policy.timezone),
            until=content.until,
            as_of=content.standing.at,
            chart=chart_address(_throughput(name)),
            today=today.isoformat(),
        )
        return answer_if_changed(request, page)

    async def _load(self, name: str) -> ForecastContent:
        chart = _throughput(name)
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            known = await weekly_points.load(connection, name, [chart], self._policy.timezone)
            decided = await relocks.load(connection, [chart.name])
            places = [(name, one) for one in self._policy.pipelines[name].open_stages]
            standing = await stages_now.by_minute(connection, places)
            is_silent = await problems.is_a_source_silent(connection, name)
        if known is None:
            return ForecastContent(titles, standing, [], None, is_silent)
        points = chart_signals(chart, known, decided, self._policy).judged.points
        until = moment(known.weeks.end(points[-1].week)) if points else None
        return ForecastContent(titles, standing, [int(point.value) for point in points], until, is_silent)

    def _chosen(self, name: str, wish: ForecastWish, standing: StagesNow) -> int:
        """How many deals are to be closed."""
        if wish.number is not None:
            return wish.number
        wanted = wish.stages or self._policy.pipelines[name].open_stages
        return sum(one.wip for (_, stage), one in standing.stages.items() if stage in wanted)

    def _choices(self, name: str, content: ForecastContent) -> list[tuple[str, str, int | None]]:
        """The open stages: id, title, and how many deals are in it."""
        found = content.standing.stages
        return [
            (stage, content.titles.title(name, stage), found[name, stage].wip if (name, stage) in found else None)
            for stage in self._policy.pipelines[name].open_stages
        ]

    def _charts_of(self, history: Sequence[int], found: Forecast | None) -> list[Drawing]:
        fan = forecast_fan(history, found) if found else None
        return [] if fan is None else [fan]

    def _today(self) -> date:
        return self._clock.now().astimezone(ZoneInfo(self._policy.timezone)).date()


def _address(request: Request) -> str:
    """The page's own, with all that its form asks."""
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != PARAMETER]
    return "/forecast" + (f"?{urlencode(asked)}" if asked else "")


def read_wish(request: Request, open_stages: Sequence[str], today: date) -> ForecastWish:
    """Read the form."""
    query, faults = request.query_params, dict[str, str]()
    chosen, count, by = query.getlist(STAGE), query.get(DEALS, "").strip(), query.get(BY, "").strip()
    unknown = [stage for stage in chosen if stage not in open_stages]
    if unknown:
        faults[STAGE] = f"{unknown[0][:40]!r} is no open stage of this pipeline; choose some of the list."
    if count and not (count.isascii() and count.isdigit() and 1 <= int(count[:7]) <= _MOST_DEALS):
        faults[DEALS] = f"{count[:20]!r} is no number of deals from 1 to {_MOST_DEALS:,}; write one, or leave it empty."
    if by and not _is_within_a_year(by, today):
        faults[BY] = f"{by[:20]!r} is no day from a week to a year ahead; write one, such as {today.year + 1}-01-31."
    return ForecastWish([one for one in chosen if one in open_stages], count, by, faults)


def _is_within_a_year(text: str, today: date) -> bool:
    try:
        return 1 <= (date.fromisoformat(text) - today).days // 7 <= _YEAR
    except ValueError:
        return False


def _done(found: Forecast | None, chosen: int) -> str | None:
    """When the chosen deals will be closed."""
    if found is None or found.at_least is None:
        return None
    if chosen == 0:
        return "None of these deals is open."
    if found.done_in_weeks is None:
        return f"It takes more than a year to close {deals(chosen)} at this pace (85 % sure)."
    weeks = "1 week" if found.done_in_weeks == 1 else f"{found.done_in_weeks} weeks"
    return f"{deals(chosen)} will be closed within {weeks} (85 % sure), if these are the next ones to be closed."


def _by(found: Forecast | None, history: Sequence[int], weeks: int | None) -> str | None:
    """How many will be closed by the chosen day."""
    if found is None or found.at_least is None or weeks is None:
        return None
    outlook = Outlook(history[-found.weeks :])
    low, high = outlook.between(weeks)
    named = "week" if weeks == 1 else f"{weeks} weeks"
    return (
        f"By then, in the next {named}, at least {deals(outlook.at_least(weeks))} will be closed (85 % sure);"
        f" {low} to {high} (90 % sure)."
    )


def _rows(found: Forecast | None, history: Sequence[int]) -> list[tuple[str, int, str]]:
    """What is promised for some numbers of weeks."""
    if found is None or found.at_least is None:
        return []
    outlook = Outlook(history[-found.weeks :])
    return [
        (
            f"{weeks} week{'' if weeks == 1 else 's'}",
            outlook.at_least(weeks),
            "{} to {}".format(*outlook.between(weeks)),
        )
        for weeks in _SHOWN_WEEKS
    ]


def _throughput(pipeline: str) -> Chart:
    return Chart(pipeline, "", Column.THROUGHPUT)
