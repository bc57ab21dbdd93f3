"""The page of the improvement meeting: everything that needs a decision, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.tickets.charts.sparkline import sparkline
from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import LatestCount, counts_by_minute, rule_series
from services.tickets.store import daily_points, meeting, plans, stages, tickets, weekly_points
from services.tickets.store.daily_points import DailyValues, Point, Series
from services.tickets.store.meeting import WaitingTicket
from services.tickets.web import meeting_view
from services.tickets.web.chart_links import board_address, chart_address
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.meeting_view import HEADINGS, SHOWN, Asked, MeetingItem, MeetingPart
from services.tickets.web.meeting_waiting import MeetingWaiting
from services.tickets.web.page_context import PageContext
from services.tickets.web.view_models import ticket_view
from shared.flow.statistics.columns import Chart
from shared.policy import StageTitles
from shared.postgres.pool import Connection, snapshot
from shared.wording.measures import NAMES
from shared.wording.quantities import day

SPARK_DAYS, SPARK_WEEKS = 60, 26
# Of many charts with an old baseline, so many are named.
NAMED_CHARTS = 5
# The charts whose baseline is due for renewal, by pipeline.
Renewals = Callable[[], Mapping[str, Sequence[Chart]]]


@dataclass(frozen=True)
class MeetingContent:
    """What the database has. `parts`: the tickets of each; of those that are shown, by number: the rest."""

    now: datetime
    titles: StageTitles
    parts: Mapping[Asked, Sequence[WaitingTicket]]
    tickets: Mapping[int, Ticket]
    counts: Mapping[int, LatestCount]
    sealed: Mapping[int, SealedPlan]
    looks: Mapping[int, date | None]
    found: Mapping[int, Sequence[str]]
    daily: Mapping[Series, DailyValues]
    weekly: Mapping[Chart, Sequence[Point]]


class MeetingPage:
    """One page for all pipelines, or for one."""

    def __init__(self, context: PageContext, renewals: Renewals) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error = context.html, context.error
        self._renewals, self._zone = renewals, ZoneInfo(context.policy.timezone)
        self._waiting = MeetingWaiting(context.policy)

    def routes(self) -> list[BaseRoute]:
        return [Route("/meeting", self.meeting)]

    async def meeting(self, request: Request) -> Response:
        chosen = request.query_params.get("pipeline", "")
        if chosen and chosen not in self._policy.pipelines:
            return self._error(
                404, "The policy has no such pipeline", "The page of pipelines shows all that there are."
            )
        content = await self._load(chosen or None)
        parts = [*self._ticket_parts(content), *self._baselines(chosen)]
        page = self._html(
            "meeting.html",
            chosen=chosen,
            parts=parts,
            summary=meeting_view.summary(parts, content.parts, content.now),
            count=sum(part.count for part in parts),
        )
        return answer_if_changed(request, page)

    async def _load(self, pipeline: str | None) -> MeetingContent:
        now = self._clock.now()
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            waiting = await self._waiting.load(connection, pipeline, now)
            shown = [one for found in waiting.parts.values() for one in found[:SHOWN]]
            content = MeetingContent(
                now, titles, waiting.parts, {}, {}, dict(waiting.sealed), waiting.looks, {}, {}, {}
            )
            return await self._of_shown(connection, content, shown)

    async def _of_shown(
        self, connection: Connection, content: MeetingContent, shown: Sequence[WaitingTicket]
    ) -> MeetingContent:
        """Add what the items say and draw."""
        found = await tickets.of_numbers(connection, [one.number for one in shown])
        planned = [one.number for one in shown if one.change_date and one.number not in content.sealed]
        sealed = {**content.sealed, **await plans.in_force(connection, planned)}
        charts = [chart for one in found.values() if (chart := _chart(one, sealed.get(one.id)))]
        series = [wanted for one in found.values() if (wanted := rule_series(one.problem))]
        now = content.now
        return MeetingContent(
            now,
            content.titles,
            content.parts,
            found,
            await counts_by_minute(connection, list(found.values())),
            sealed,
            content.looks,
            await meeting.found(connection, [one.number for one in shown if one.outcome]),
            await daily_points.values(connection, series, now - timedelta(days=SPARK_DAYS), now),
            await weekly_points.recent(connection, charts, now - timedelta(weeks=SPARK_WEEKS)),
        )

    def _ticket_parts(self, content: MeetingContent) -> list[MeetingPart]:
        return [
            MeetingPart(
                asked,
                HEADINGS[asked],
                len(found),
                [self._item(asked, one, content) for one in found[:SHOWN] if one.number in content.tickets],
            )
            for asked, found in content.parts.items()
            if found
        ]

    def _item(self, asked: Asked, one: WaitingTicket, content: MeetingContent) -> MeetingItem:
        ticket, sealed = content.tickets[one.number], content.sealed.get(one.number)
        view = ticket_view(ticket, self._policy, content.titles, content.now, content.counts.get(one.number))
        look = content.looks.get(one.number) if asked is Asked.LOOK else None
        planned = [f"Planned: {sealed.plan.change}"] if sealed else []
        return MeetingItem(
            f"ticket-{one.number}",
            view.text.title,
            f"/tickets/{one.number}",
            view.text.pipeline,
            view.text.sentence,
            [*planned, *content.found.get(one.number, [])],
            self._spark(ticket, sealed, content),
            one.since,
            meeting_view.waited(asked, one.since, content.now),
            meeting_view.question(asked, one, _words(look or one.change_date)),
            meeting_view.actions(asked, one, ticket.seq),
        )

    def _spark(self, ticket: Ticket, sealed: SealedPlan | None, content: MeetingContent) -> str:
        """The weeks of the plan's or the problem's measure, with the change; else the count of the rule by day."""
        chart = _chart(ticket, sealed)
        if chart is not None:
            changed = datetime.combine(sealed.plan.change_date, datetime.min.time(), self._zone) if sealed else None
            weeks = content.weekly[chart]
            before = sum(at < changed for at, _ in weeks) if changed else 0
            return sparkline([value for _, value in weeks], None, before)
        series = rule_series(ticket.problem)
        return sparkline(content.daily[series].values, float(ticket.problem.threshold)) if series else ""

    def _baselines(self, chosen: str) -> list[MeetingPart]:
        """One thing for each pipeline: its baselines grow old together."""
        due = {key: charts for key, charts in self._renewals().items() if charts and chosen in ("", key)}
        items = [self._baseline(key, charts) for key, charts in due.items()]
        return [MeetingPart(Asked.BASELINE, HEADINGS[Asked.BASELINE], len(items), items)] if items else []

    def _baseline(self, key: str, charts: Sequence[Chart]) -> MeetingItem:
        name, number = self._policy.pipelines[key].name, len(charts)
        what = "1 chart has a baseline" if number == 1 else f"{number} charts have baselines"
        links = [meeting_view.MeetingAction(self._name(chart), chart_address(chart)) for chart in charts[:NAMED_CHARTS]]
        return MeetingItem(
            f"baselines-{list(self._policy.pipelines).index(key)}",
            f"Old baselines of {name}",
            board_address(key),
            name,
            f"{what} of more than a year ago, and in the last 52 weeks nothing stood out against it.",
            [],
            "",
            None,
            "",
            "Is it still what is usual, or does a new baseline of the newest weeks begin?",
            links,
        )

    def _name(self, chart: Chart) -> str:
        stage = self._policy.stage(chart.pipeline, chart.stage)
        return f"{NAMES[chart.column]}, {stage.name or stage.id}" if stage else NAMES[chart.column]


def _chart(ticket: Ticket, sealed: SealedPlan | None) -> Chart | None:
    """The weekly measure that the plan wants to change, else the one that the problem is about."""
    problem = ticket.problem
    if sealed is not None:
        return sealed.plan.measure
    return Chart(problem.pipeline, problem.stage or "", problem.signal.measure) if problem.signal else None


def _words(found: date | None) -> str:
    """`12 December`"""
    return day(datetime.combine(found, datetime.min.time())) if found else ""
