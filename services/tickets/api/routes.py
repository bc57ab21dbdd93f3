"""`/api/v1`: tickets as JSON, for reading and working on, described by OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from services.tickets import deals_csv
from services.tickets.api import faults
from services.tickets.api.actions import ACTIONS, SUMMARIES
from services.tickets.api.answering import Answering
from services.tickets.api.charts import ChartEndpoints
from services.tickets.api.described import DescribedApi
from services.tickets.api.faults import ApiFault, Problem
from services.tickets.api.ledger import LedgerEndpoint
from services.tickets.api.meeting import MeetingEndpoint
from services.tickets.api.models import TicketList, TicketPlan, TicketWhole
from services.tickets.api.models_of_flow import ChartWhole, LedgerList, MeetingList, PipelineBoard, PipelineList
from services.tickets.api.paging import next_page
from services.tickets.api.parts import ApiParts
from services.tickets.api.pipelines import PipelineEndpoints
from services.tickets.api.policies import PolicyEndpoints, PolicyVersionList, PolicyWhole
from services.tickets.api.preconditions import etag_of
from services.tickets.api.reading import TicketReader, existing
from services.tickets.api.working import TicketNumber, TicketWork
from services.tickets.domain.typed import storable
from services.tickets.query import TicketQuery
from shared.postgres.pool import TRANSIENT, snapshot
from shared.runtime.log import logger

_log = logger(__name__)
PREFIX = "/api/v1"
_ANY = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class CsvFile(Response):
    """Says in the description what a table comes as."""

    media_type = "text/csv"


class Api:
    """The endpoints."""

    def __init__(self, parts: ApiParts) -> None:
        self._parts, self._reader = parts, TicketReader(parts.policy)
        self._answering = Answering(parts.pool, parts.wall)

    def routes(self) -> list[BaseRoute]:
        """The API at its address."""

        async def nothing(request: Request) -> Response:
            return faults.answer_of_status(404)

        # Without this route, a mount redirects its bare address to one that is not found either.
        return [Route(PREFIX, nothing, methods=_ANY), Mount(PREFIX, self.application())]

    def application(self) -> FastAPI:
        """The endpoints as an application of their own."""
        app = DescribedApi(
            title="Andon",
            version="1",
            description="Improvement tickets, and the flow that they are about: read them, and work on them.",
            openapi_url="/openapi.json",
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            servers=[{"url": PREFIX}],
            root_path_in_servers=False,
            exception_handlers=_handlers(),
        )
        self._add_tickets(app)
        self._add_flow(app)
        return app

    def _add_tickets(self, app: FastAPI) -> None:
        _add(app, "/tickets", self.tickets, "Tickets, newest first", TicketList, 422)
        _add(app, "/tickets/{number}", self.ticket, "One ticket", TicketWhole, 404, 422)
        _add(app, "/tickets/{number}/deals.csv", self.deals, "All deals of a ticket as CSV", None, 404, 422)
        _add(app, "/tickets/{number}/plan", self.plan, "The plan of a ticket: draft and seals", TicketPlan, 404, 422)
        parts = self._parts
        work = TicketWork(parts.pool, self._reader, parts.writer, self._answering, parts.changed)
        for name, model in ACTIONS.items():
            _add_change(app, f"/tickets/{{number}}/{name}", work.endpoint(name, model), SUMMARIES[name], TicketWhole)

    def _add_flow(self, app: FastAPI) -> None:
        pipelines, charts = PipelineEndpoints(self._parts), ChartEndpoints(self._parts, self._answering)
        ledger, meeting = LedgerEndpoint(self._parts), MeetingEndpoint(self._parts)
        _add(app, "/pipelines", pipelines.pipelines, "Pipelines with their stages and charts", PipelineList)
        _add(app, "/pipelines/{name:path}", pipelines.board, "A pipeline at a glance", PipelineBoard, 404, 422)
        _add(app, "/charts/{name:path}", charts.chart, "A weekly measure with its baselines", ChartWhole, 404, 422)
        _add_change(app, "/charts/{name:path}", charts.relock, "Give a chart a new baseline", ChartWhole)
        self._add_policy(app)
        _add(app, "/ledger", ledger.attempts, "What was tried, predicted and found, newest first", LedgerList, 422)
        _add(app, "/meeting", meeting.meeting, "What waits for a decision", MeetingList, 404, 422)

    def _add_policy(self, app: FastAPI) -> None:
        found = PolicyEndpoints(self._parts, self._answering)
        _add(app, "/policy", found.policy, "The newest version of the policy", PolicyWhole)
        _add(app, "/policy/versions", found.policy_versions, "The versions of the policy", PolicyVersionList)
        _add(app, "/policy/versions/{number}", found.policy_version, "A version of the policy", PolicyWhole, 404, 422)
        _add_change(app, "/policy", found.save_policy, "Save a version of the policy", PolicyWhole)

    async def tickets(self, request: Request, query: Annotated[TicketQuery, Query()]) -> Response:
        async with snapshot(self._parts.pool) as connection:
            page = await self._reader.page(connection, query)
        headers = {} if page.next_before is None else {"Link": next_page(request, page.next_before)}
        # FastAPI would check every ticket of a page once more.
        return Response(page.model_dump_json(), 200, headers, "application/json")

    async def ticket(self, response: Response, number: TicketNumber) -> TicketWhole:
        async with snapshot(self._parts.pool) as connection:
            whole = await self._reader.whole(connection, number)
        response.headers["ETag"] = etag_of(whole.seq)
        return whole

    async def plan(self, number: TicketNumber) -> TicketPlan:
        async with snapshot(self._parts.pool) as connection:
            return await self._reader.plan(connection, number)

    async def deals(self, number: TicketNumber) -> Response:
        async with snapshot(self._parts.pool) as connection:
            ticket = await existing(connection, number)
            latest = await self._reader.latest(connection, ticket)
        return deals_csv.download(latest.problem, number, marked=False)


def _add(
    app: FastAPI, path: str, endpoint: Callable[..., Any], summary: str, model: type[Any] | None, *statuses: int
) -> None:
    """Add an endpoint for GET, and for HEAD without a description of its own."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": "What is wrong, and the way out"} for status in statuses
    }
    name = endpoint.__name__
    app.add_api_route(
        path,
        endpoint,
        summary=summary,
        response_model=model,
        response_class=JSONResponse if model else CsvFile,
        responses=responses,
        operation_id=name,
        name=name,
    )
    app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, response_model=model)


def _explain(errors: Sequence[Any]) -> str:
    """The first fault of a request, names that it does not have first."""
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    where, *names = first["loc"]
    place = ".".join(map(str, names)) or where
    if first["type"] == "extra_forbidden":
        return f"{place}: no such {'field' if where == 'body' else 'filter'}; see {PREFIX}/openapi.json"
    text = str(first.get("ctx", {}).get("error") or first["msg"])
    if first["type"] == "json_invalid":
        return f"body: is no JSON: {text}, at character {place}"
    if first["type"] == "missing":
        return f"{place}: is missing; see {PREFIX}/openapi.json"
    return f"{place}: {str(first['input'])[:40]!r}: {text}" if where == "body" else f"{place}: {text}"


def _add_change(app: FastAPI, path: str, endpoint: Callable[..., Any], summary: str, model: type[Any]) -> None:
    """Add an endpoint for POST."""
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": "What does not fit, and the way out"}
        for status in (400, 404, 409, 412, 413, 422)
    }
    name = endpoint.__name__
    app.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        summary=summary,
        response_model=model,
        responses=refusals,
        operation_id=name,
        name=name,
    )


def _handlers() -> dict[Any, Any]:
    """Every fault as a `Problem`."""

    async def fault(request: Request, error: ApiFault) -> Response:
        return faults.answer(error.problem)

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return faults.answer(Problem(status=422, detail=storable(_explain(error.errors()))))

    async def status(request: Request, error: HTTPException) -> Response:
        # GET and HEAD of an address are two routes, and the answer names the methods of the first only.
        is_read = error.status_code == 405 and (error.headers or {}).get("Allow") == "GET"
        headers = {"Allow": "GET, HEAD"} if is_read else error.headers
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
