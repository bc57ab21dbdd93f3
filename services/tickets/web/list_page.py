"""The list of tickets: what needs somebody first, then what is being verified or snoozed, then what closed recently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets.charts.sparkline import sparkline
from services.tickets.charts.ticket import is_newer
from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import LatestCount, counts_by_minute, rule_series
from services.tickets.query import QueryError
from services.tickets.store import daily_points, listed, problems, stages, tickets
from services.tickets.store import now as now_store
from services.tickets.store.daily_points import DailyValues
from services.tickets.store.listed import ListedTicket
from services.tickets.web import listing
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.listing import ListParts, ListQuery
from services.tickets.web.page_context import PageContext
from services.tickets.web.view_models import RuleView, TicketView, rule_view, ticket_view
from shared.contracts.problems import ProblemData
from shared.contracts.tickets import TicketState
from shared.policy import StageTitles
from shared.postgres.pool import Connection, snapshot
from shared.wording.money import MoneyAtStake

SPARK_DAYS = 60
CLOSED_DAYS = 30
# Tickets of a page; and of each part after the first, where there are several.
ROWS, ROWS_OF_PART = 25, 5
OPEN_STATES = tuple(state for state in TicketState if state is not TicketState.CLOSED)
FILTERS = ("pipeline", "kind", "state", "sort")


@dataclass(frozen=True)
class ShownPart:
    """The tickets of a part that the page shows, and how many there are in all."""

    views: Sequence[TicketView]
    count: int


class ListPage:
    """The list, by its filters and in its order."""

    def __init__(self, context: PageContext) -> None:
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error, self._tags = context.html, context.error, context.tags

    def routes(self) -> list[BaseRoute]:
        page = self._tags.watch(self.tickets)
        return [Route("/", page), Route("/tickets", page)]

    async def tickets(self, request: Request) -> Response:
        query = {name: value for name, value in request.query_params.items() if value}
        if len(query) < len(request.query_params):
            # The form also sends what was not chosen. Drop it: people pass this address on.
            return RedirectResponse(f"/tickets?{urlencode(query)}".rstrip("?"), 303)
        try:
            asked = listing.parse(query)
        except QueryError as error:
            return self._error(422, "The list cannot be shown like that", f"{error}.")
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            found = await self._find(connection, asked)
            parts = listing.in_parts(found, asked.sort)
            shown = await self._shown(connection, parts, asked, titles)
            is_quiet = not parts.needing
            flow = await problems.summary(connection) if is_quiet else None
        chosen = {name: query.get(name, "") for name in FILTERS}
        page = self._html(
            "tickets.html",
            **shown,
            unseen=parts.unseen,
            outcomes=parts.outcomes,
            sort=asked.sort,
            flow=flow,
            watching=self._watching(titles) if is_quiet else [],
            chosen=chosen,
            is_filtered=any(chosen[name] for name in ("pipeline", "kind", "state")),
            is_recent=asked.is_recent,
            closed_days=CLOSED_DAYS,
            query=urlencode({name: value for name, value in chosen.items() if value}),
            older=found[-1].id if asked.is_page and len(found) == asked.limit else None,
            skipped=asked.skip,
            rows=ROWS,
            address=urlencode(query),
        )
        return answer_if_changed(request, page)

    async def _find(self, connection: Connection, asked: ListQuery) -> Sequence[ListedTicket]:
        """What is open and what closed lately; with a state all of that; of what is closed, one page."""
        if asked.is_page:
            return await listed.page(connection, asked.filter)
        if not asked.is_recent:
            return await listed.of_state(connection, asked.filter)
        return await listed.recent(connection, asked.filter, self._clock.now() - timedelta(days=CLOSED_DAYS))

    async def _shown(
        self, connection: Connection, parts: ListParts, asked: ListQuery, titles: StageTitles
    ) -> Mapping[str, ShownPart]:
        """The tickets that the page shows, by part: of the first a page, of the others the first few."""
        named = {name: one for name, one in vars(parts).items() if one}
        first = next(iter(named), "")
        chosen = {
            name: found if asked.is_page else found[asked.skip :][:ROWS] if name == first else found[:ROWS_OF_PART]
            for name, found in named.items()
        }
        views = await self._views(connection, [one for found in chosen.values() for one in found], titles)
        return {
            name: ShownPart([views[one.id] for one in chosen.get(name, []) if one.id in views], len(found))
            for name, found in vars(parts).items()
        }

    async def _views(
        self, connection: Connection, shown: Sequence[ListedTicket], titles: StageTitles
    ) -> Mapping[int, TicketView]:
        """The tickets, the open ones with the line of the last weeks."""
        now = self._clock.now()
        found = await tickets.of_numbers(connection, [one.id for one in shown])
        counts = await counts_by_minute(connection, list(found.values()))
        first = await problems.found_counts(connection, [one.problem for one in found.values()])
        stakes = {one.id: one.stake for one in shown} | await _closed_stakes(connection, found, counts)
        wanted = {t.id: series for t in found.values() if t.is_open and (series := rule_series(t.problem))}
        days = await daily_points.values(connection, list(wanted.values()), now - timedelta(days=SPARK_DAYS), now)
        views = {}
        for one, begun in zip(found.values(), first, strict=True):
            latest, spark = replace(counts[one.id], stake=stakes[one.id]), ""
            if one.id in wanted:
                spark = _spark(days[wanted[one.id]], latest.problem, now)
            views[one.id] = ticket_view(one, self._policy, titles, now, latest, begun, spark)
        return views

    def _watching(self, titles: StageTitles) -> list[RuleView]:
        return [
            rule_view(rule, key, self._policy, titles)
            for key, pipeline in self._policy.pipelines.items()
            for rule in pipeline.count_rules
        ]


def _spark(days: DailyValues, problem: ProblemData, now: datetime) -> str:
    """The count of a problem's rule by day, until now."""
    newest = [float(problem.count)] if is_newer(problem, days.last, now) else []
    return sparkline([*days.values, *newest], float(problem.threshold))


async def _closed_stakes(
    connection: Connection, found: Mapping[int, Ticket], counts: Mapping[int, LatestCount]
) -> dict[int, MoneyAtStake]:
    """What the deals of closed tickets are worth: now, where the problem goes on; else as its last message says."""
    closed = [number for number, one in found.items() if not one.is_open]
    going_on = [found[number] for number in closed if counts[number].rule]
    of_keys = await now_store.stakes(connection, [one.key for one in going_on])
    known = {one.id: of_keys[one.key] for one in going_on if one.key in of_keys}
    return known | await listed.own_stakes(connection, [number for number in closed if number not in known])
