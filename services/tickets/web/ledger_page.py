"""The learning ledger: what was changed, what was predicted, and what came of it, over all tickets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from services.tickets import ledger_csv
from services.tickets.domain.plan import Countermeasure
from services.tickets.query import QueryError, explain, number
from services.tickets.store import ledger, stages, waits
from services.tickets.store.ledger import AttemptNumber, AttemptOutcome, LedgerFilter
from services.tickets.web import ledger_view
from services.tickets.web.conditional import answer_if_changed
from services.tickets.web.page_context import PageContext
from services.tickets.web.plan_form import COUNTERMEASURES
from shared.postgres.pool import snapshot

PAGE, GIVEN_UP, CSV_ROWS = 50, 30, 50
MAX_PAGE, MAX_QUERY = 10_000, 200


def _one_of(kinds: type[AttemptOutcome] | type[Countermeasure]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in list(kinds):
            raise ValueError(f"{text[:40]!r} is not known; use {', '.join(kinds)}")
        return text

    return read


def _page(text: str) -> int:
    page = number(text)
    if not 1 <= page <= MAX_PAGE:
        raise ValueError(f"{text[:40]!r} is not the number of a page; use 1 to {MAX_PAGE}")
    return page


# Postgres keeps no NUL character, so nothing is found by it.
_Text = Annotated[str, AfterValidator(lambda text: text.replace("\x00", "\ufffd")[:MAX_QUERY])]


class LedgerChoice(BaseModel):
    """Which attempts of the ledger; without a filter, all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    q: _Text | None = None
    pipeline: _Text | None = None
    kind: _Text | None = None
    countermeasure: Annotated[Countermeasure | None, BeforeValidator(_one_of(Countermeasure))] = None
    found: Annotated[AttemptOutcome | None, BeforeValidator(_one_of(AttemptOutcome))] = None

    @property
    def filter(self) -> LedgerFilter:
        kind = self.countermeasure.value if self.countermeasure else None
        return LedgerFilter(self.pipeline, self.kind, kind, self.found, self.q)


class LedgerQuery(LedgerChoice):
    """One page of the choice."""

    page: Annotated[int, BeforeValidator(_page)] = 1


def parse(query: Mapping[str, str]) -> LedgerQuery:
    """Read the filters of an address; raises QueryError."""
    try:
        return LedgerQuery.model_validate(dict(query))
    except ValidationError as error:
        raise QueryError(explain(error.errors(include_url=False), LedgerQuery)) from None


class LedgerPage:
    """What the organisation knows of its own system: as a page, and as CSV, read `csv_rows` attempts at a time."""

    def __init__(self, context: PageContext, csv_rows: int = CSV_ROWS) -> None:
        self._csv_rows = csv_rows
        self._pool, self._policy, self._clock = context.pool, context.policy, context.clock
        self._html, self._error = context.html, context.error

    def routes(self) -> list[BaseRoute]:
        return [Route("/ledger", self.page), Route("/ledger.csv", self.csv)]

    async def page(self, request: Request) -> Response:
        query = {name: value for name, value in request.query_params.items() if value}
        if len(query) < len(request.query_params):
            return RedirectResponse(f"/ledger?{urlencode(query)}".rstrip("?"), 303)
        try:
            asked = parse(query)
        except QueryError as error:
            return self._error(422, "The ledger cannot be shown like that", f"{error}.")
        return answer_if_changed(request, await self._shown(asked, query))

    async def _shown(self, asked: LedgerQuery, query: Mapping[str, str]) -> Response:
        where, skipped = asked.filter, PAGE * (asked.page - 1)
        async with snapshot(self._pool) as connection:
            titles = await stages.titles(connection, self._policy)
            found = await ledger.attempts(connection, where, PAGE + 1, skipped)
            tallies = await ledger.tallies(connection, where)
            given_up = await ledger.given_up(connection, where, GIVEN_UP)
            waited = await waits.times(connection, where.pipeline, where.kind, self._clock.now())
        chosen = {name: query.get(name, "") for name in LedgerQuery.model_fields}
        rest = {name: value for name, value in query.items() if name != "page"}
        return self._html(
            "ledger.html",
            summary=ledger_view.summary(tallies.all),
            tried=tallies.all.tried,
            rows=[ledger_view.attempt_row(one, self._policy, titles) for one in found[:PAGE]],
            by_kind=ledger_view.kind_rows(tallies.by_kind),
            by_countermeasure=ledger_view.countermeasure_rows(tallies.by_countermeasure),
            given_up=[ledger_view.given_up_row(one, self._policy, titles) for one in given_up],
            waits=ledger_view.wait_rows(waited),
            chosen=chosen,
            countermeasures=COUNTERMEASURES,
            outcomes=ledger_view.FOUND,
            is_filtered=bool(rest),
            csv=f"/ledger.csv?{urlencode(rest)}".rstrip("?"),
            earlier=_address(rest, asked.page + 1) if len(found) > PAGE else None,
            later=_address(rest, asked.page - 1) if asked.page > 1 else None,
            first=skipped + 1,
        )

    async def csv(self, request: Request) -> Response:
        """All attempts of the choice as a file."""
        query = {name: value for name, value in request.query_params.items() if value}
        try:
            where = parse(query).filter
        except QueryError as error:
            return self._error(422, "The ledger cannot be shown like that", f"{error}.")
        # Read before anything is sent, so that a fault of the database is answered by a page.
        numbers = await ledger.numbers(self._pool, where)
        headers = {"content-disposition": 'attachment; filename="ledger.csv"'}
        return StreamingResponse(self._lines(numbers), headers=headers, media_type="text/csv; charset=utf-8")

    async def _lines(self, numbers: Sequence[AttemptNumber]) -> AsyncIterator[str]:
        """A few attempts at a time: neither other requests nor, where a reader is slow, a connection wait for all."""
        yield ledger_csv.head()
        for start in range(0, len(numbers), self._csv_rows):
            yield ledger_csv.lines(await ledger.of_numbers(self._pool, numbers[start : start + self._csv_rows]))


def _address(rest: Mapping[str, str], page: int) -> str:
    return f"/ledger?{urlencode({**rest, 'page': page})}"
