"""`/api/v1`: tickets as JSON, read-only, described by OpenAPI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from services.tickets import deals_csv
from services.tickets.api import faults
from services.tickets.api.faults import ApiFault, Problem
from services.tickets.api.models import (
    HistoryEntry,
    TicketFound,
    TicketList,
    TicketMail,
    TicketNow,
    TicketSummary,
    TicketWhole,
)
from services.tickets.domain.ticket import Ticket
from services.tickets.latest_count import LatestCount, counted_at, latest_counts, with_deals
from services.tickets.query import TicketQuery, explain, number
from services.tickets.store import notices, problems, stages, tickets
from shared.contracts.problems import ProblemData, ProblemInterval
from shared.flow.calendars import AgeClocks
from shared.policy import Policy, StageTitles
from shared.postgres.pool import TRANSIENT, Connection, Pool
from shared.runtime.log import logger
from shared.wording.problem_text import text_of

_log = logger(__name__)
PREFIX = "/api/v1"
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _number(text: str) -> int:
    try:
        return number(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a ticket's number") from None


TicketNumber = Annotated[int, BeforeValidator(_number), Path()]


class Api:
    """The endpoints."""

    def __init__(self, pool: Pool, policy: Policy) -> None:
        self._pool, self._policy = pool, policy
        self._clocks = AgeClocks(policy)

    def routes(self) -> list[BaseRoute]:
        """The API at its address."""

        async def nothing(request: Request) -> Response:
            return faults.answer_of_status(404)

        # Without this route, a mount redirects its bare address to one that is not found either.
        return [Route(PREFIX, nothing, methods=_ANY), Mount(PREFIX, self.application())]

    def application(self) -> FastAPI:
        """The endpoints as an application of their own."""
        app = _Described(
            title="Andon",
            version="1",
            description="Improvement tickets, for reading.",
            openapi_url="/openapi.json",
            docs_url=None,
            redoc_url=None,
            servers=[{"url": PREFIX}],
            root_path_in_servers=False,
            exception_handlers=_handlers(),
        )
        _add(app, "/tickets", self.tickets, "Tickets, newest first", TicketList, 422)
        _add(app, "/tickets/{number}", self.ticket, "One ticket", TicketWhole, 404, 422)
        _add(app, "/tickets/{number}/deals.csv", self.deals, "All deals of a ticket as CSV", None, 404, 422)
        return app

    async def tickets(self, query: Annotated[TicketQuery, Query()]) -> TicketList:
        async with self._pool.acquire() as connection:
            found = await tickets.find(connection, query.filter)
            counts = await latest_counts(connection, found)
            first = await problems.found(connection, [ticket.problem for ticket in found])
            titles = await stages.titles(connection, self._policy)
        more = found[-1].id if len(found) == query.limit else None
        shown = [self._summary(t, counts[t.id], one, titles) for t, one in zip(found, first, strict=True)]
        return TicketList(tickets=shown, next_before=more)

    async def ticket(self, number: TicketNumber) -> TicketWhole:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                raise ApiFault(404, f"there is no ticket {number}; see {PREFIX}/tickets")
            latest = await self._latest(connection, ticket)
            (found,) = await problems.found(connection, [ticket.problem])
            titles = await stages.titles(connection, self._policy)
            history = await tickets.history(connection, number)
            mails = await notices.of_ticket(connection, ticket)
        return TicketWhole(
            **dict(self._summary(ticket, latest, found, titles)),
            asks_for=text_of(ticket.problem, self._policy, titles).asks_for,
            evidence=latest.problem.evidence,
            evidence_found=found.evidence,
            history=[HistoryEntry(**{name: row[name] for name in HistoryEntry.model_fields}) for row in history],
            mails=[TicketMail(**dict(row)) for row in mails],
        )

    async def deals(self, number: TicketNumber) -> Response:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                raise ApiFault(404, f"there is no ticket {number}; see {PREFIX}/tickets")
            latest = await self._latest(connection, ticket)
        return deals_csv.download(latest.problem, number, marked=False)

    async def _latest(self, connection: Connection, ticket: Ticket) -> LatestCount:
        """The ticket's problem as it is now, with its deals."""
        latest = (await latest_counts(connection, [ticket]))[ticket.id]
        return await with_deals(connection, latest, self._policy, self._clocks)

    def _summary(self, ticket: Ticket, latest: LatestCount, found: ProblemData, titles: StageTitles) -> TicketSummary:
        problem = latest.problem
        text = text_of(problem, self._policy, titles)
        return TicketSummary(
            id=ticket.id,
            seq=ticket.seq,
            key=ticket.key,
            title=text.title,
            sentence=text.sentence,
            state=ticket.state,
            outcome=ticket.outcome,
            cause_class=problem.cause_class,
            pipeline=problem.pipeline,
            stage=problem.stage,
            source=problem.source,
            kind=problem.kind,
            mode=problem.mode.value,
            count=problem.count,
            count_at=None if problem.cleared_at else latest.at,
            peak=problem.peak,
            threshold=problem.threshold,
            usual=problem.usual,
            chance=problem.chance,
            exceed=problem.exceed,
            opened_at=ticket.opened_at,
            changed_at=ticket.changed_at,
            closed_at=ticket.closed_at,
            closed_because=ticket.closed_because,
            snoozed_until=ticket.snoozed_until,
            problem=ProblemInterval(opened_at=problem.opened_at, cleared_at=problem.cleared_at, peak=problem.peak),
            now=_now(latest),
            found=TicketFound(at=counted_at(found), count=found.count),
        )


def _now(latest: LatestCount) -> TicketNow | None:
    rule = latest.rule
    if rule is None:
        return None
    return TicketNow(
        as_of=latest.at,
        count=latest.problem.count,
        peak=latest.problem.peak,
        breached=rule.breached,
        since=rule.since,
        clears_at=rule.clears_at,
    )


class _Described(FastAPI):
    """Describes its faults as what they are: `application/problem+json`."""

    def openapi(self) -> dict[str, Any]:
        described = super().openapi()
        for path in described["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    if status.startswith("4") and "application/json" in response["content"]:
                        response["content"][faults.MEDIA_TYPE] = response["content"].pop("application/json")
        return described


def _add(
    app: FastAPI, path: str, endpoint: Callable[..., Any], summary: str, model: type[Any] | None, *statuses: int
) -> None:
    """Add an endpoint for GET, and for HEAD without a description of its own."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": "What is wrong, and the way out"} for status in statuses
    }
    app.add_api_route(path, endpoint, summary=summary, response_model=model, responses=responses)
    app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, response_model=model)


def _handlers() -> dict[Any, Any]:
    """Every fault as a `Problem`."""

    async def fault(request: Request, error: ApiFault) -> Response:
        return faults.answer(error.problem)

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return faults.answer(Problem(status=422, detail=explain(error.errors())))

    async def status(request: Request, error: HTTPException) -> Response:
        # GET and HEAD of an address are two routes, and the answer names the methods of the first only.
        headers = {"Allow": "GET, HEAD"} if error.status_code == 405 else error.headers
        return faults.answer_of_status(error.status_code, headers)

    async def unavailable(request: Request, error: Exception) -> Response:
        _log.warning("API request failed: database unavailable", error=repr(error))
        return faults.answer_of_status(503)

    async def failed(request: Request, error: Exception) -> Response:
        return faults.answer_of_status(500)

    return {
        ApiFault: fault,
        RequestValidationError: invalid,
        HTTPException: status,
        Exception: failed,
        **dict.fromkeys(TRANSIENT, unavailable),
    }
