"""`/api/v1`: tickets as JSON, described by OpenAPI. Reading only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.tickets import latest_count
from services.tickets.domain.lifecycle import Ticket
from services.tickets.latest_count import LatestCount
from services.tickets.store import tickets as store
from services.tickets.store.tickets import TicketFilter
from shared.contracts.envelope import Moment
from shared.contracts.problems import CauseClass, Evidence, ProblemInterval
from shared.contracts.tickets import Actor, TicketChange, TicketOutcome, TicketState
from shared.policy import Policy
from shared.runtime.clock import Clock
from shared.wording.problem_text import tell

MOST = 200
_FILTERS = ("pipeline", "kind", "state", "before", "limit")


class TicketSummary(BaseModel):
    """One ticket as it stands."""

    id: int
    key: str = Field(description="of the problem: kind/pipeline/stage")
    title: str
    sentence: str
    state: TicketState
    outcome: TicketOutcome | None
    cause_class: CauseClass
    pipeline: str
    stage: str | None
    kind: str
    mode: str
    count: int
    count_at: Moment | None = Field(
        description="as of when `count` and `sentence` are, as growth is told by half again only; empty once it is over"
    )
    peak: int
    threshold: int
    usual: float | None
    opened_at: Moment
    changed_at: Moment
    closed_at: Moment | None
    snoozed_until: Moment | None
    problem: ProblemInterval


class HistoryEntry(BaseModel):
    """One change in a ticket's history."""

    seq: int
    change: TicketChange
    at: Moment
    actor: Actor
    reason: str | None


class TicketMail(BaseModel):
    """What became of a mail about the ticket."""

    reason: str
    result: str
    at: Moment
    detail: str | None


class TicketWhole(TicketSummary):
    """One ticket with evidence, history and mails."""

    asks_for: str
    evidence: Evidence | None
    history: list[HistoryEntry]
    mails: list[TicketMail]


class TicketList(BaseModel):
    """Tickets, the newest first. `next_before`: pass it as `before` for the next page; empty at the end."""

    tickets: list[TicketSummary]
    next_before: int | None


class Problem(BaseModel):
    """RFC 9457: what is wrong with a request, and the way out."""

    status: int
    detail: str


class Api:
    """The read API."""

    def __init__(self, pool: Any, policy: Policy, clock: Clock) -> None:
        self._pool, self._policy, self._clock = pool, policy, clock

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v1/openapi.json", self.openapi),
            Route("/api/v1/tickets", self.tickets),
            Route("/api/v1/tickets/{number}", self.ticket),
        ]

    async def tickets(self, request: Request) -> Response:
        try:
            place = place_of(dict(request.query_params))
        except ValueError as error:
            return _answer(Problem(status=422, detail=str(error)), 422)
        async with self._pool.acquire() as connection:
            found = await store.listed(connection, place)
            newest = await latest_count.newest(connection, found, self._clock.now())
        more = found[-1].id if len(found) == place.limit else None
        return _answer(TicketList(tickets=[self._summary(t, newest[t.id]) for t in found], next_before=more))

    async def ticket(self, request: Request) -> Response:
        written = request.path_params["number"]
        if not (written.isascii() and written.isdigit() and len(written) < 19):
            return _answer(Problem(status=422, detail=f"number: {written[:40]!r} is no ticket's number"), 422)
        async with self._pool.acquire() as connection:
            ticket = await store.one(connection, int(written))
            if ticket is None:
                return _answer(Problem(status=404, detail=f"there is no ticket {written}; see /api/v1/tickets"), 404)
            newest = await latest_count.newest(connection, [ticket], self._clock.now())
            history = await store.history(connection, ticket.id)
            mails = await store.notices_of(connection, ticket.id)
        whole = TicketWhole(
            **dict(self._summary(ticket, newest[ticket.id])),
            asks_for=tell(ticket.problem, self._policy).asks_for,
            evidence=ticket.problem.evidence,
            history=[HistoryEntry(**{n: row[n] for n in HistoryEntry.model_fields}) for row in history],
            mails=[TicketMail(**dict(row)) for row in mails],
        )
        return _answer(whole)

    def _summary(self, ticket: Ticket, newest: LatestCount) -> TicketSummary:
        problem = newest.problem
        told = tell(problem, self._policy)
        return TicketSummary(
            id=ticket.id,
            key=ticket.key,
            title=told.title,
            sentence=told.sentence,
            state=ticket.state,
            outcome=ticket.outcome,
            cause_class=problem.cause_class,
            pipeline=problem.pipeline,
            stage=problem.stage,
            kind=problem.kind,
            mode=problem.mode.value,
            count=problem.count,
            count_at=None if problem.cleared_at else newest.at,
            peak=problem.peak,
            threshold=problem.threshold,
            usual=problem.usual,
            opened_at=ticket.opened_at,
            changed_at=ticket.changed_at,
            closed_at=ticket.closed_at,
            snoozed_until=ticket.snoozed_until,
            problem=ProblemInterval(opened_at=problem.opened_at, cleared_at=problem.cleared_at, peak=problem.peak),
        )

    async def openapi(self, request: Request) -> Response:
        return JSONResponse(openapi())


def place_of(query: dict[str, str]) -> TicketFilter:
    """Filters; raises ValueError that names the field, its value and the way out."""
    for name in query:
        if name not in _FILTERS:
            raise ValueError(f"{name}: no such filter; use {', '.join(_FILTERS)}")
    state = query.get("state")
    if state is not None and state not in [one.value for one in TicketState]:
        raise ValueError(f"state: {state[:40]!r} is none; use {', '.join(TicketState)}")
    numbers = {}
    for name in ("before", "limit"):
        written = query.get(name, "50" if name == "limit" else "")
        if written and not (written.isascii() and written.isdigit() and len(written) < 19):
            raise ValueError(f"{name}: {written[:40]!r} is no number")
        numbers[name] = int(written) if written else None
    limit = numbers["limit"] or 0
    if not 0 < limit <= MOST:
        raise ValueError(f"limit: {limit}; use 1 to {MOST}")
    # Postgres keeps no NUL character, so nothing is found by it.
    pipeline, kind = (query[n].replace("\x00", "\ufffd") if n in query else None for n in ("pipeline", "kind"))
    return TicketFilter(pipeline, kind, state, numbers["before"], limit)


def _answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    media = "application/json" if status < 400 else "application/problem+json"
    return Response(model.model_dump_json(), status, headers, media)


def is_api(request: Request) -> bool:
    return f"{request.url.path}/".startswith("/api/")


def api_fault(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """What a program is told where a person would be shown a page."""
    detail = {
        404: "there is no such address",
        405: "the API is for reading; use GET",
        503: "the database does not answer just now; try again in a minute",
    }.get(status, "this did not work; try again, and tell those who run Andon if it stays")
    return _answer(Problem(status=status, detail=f"{detail}; see /api/v1/openapi.json"), status, headers)


def openapi() -> dict[str, Any]:
    """OpenAPI 3.1, from the models."""
    models: list[type[BaseModel]] = [TicketList, TicketWhole, Problem]
    schemas: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    text = {"type": "string"}
    query = [
        {"name": "pipeline", "in": "query", "schema": text},
        {"name": "kind", "in": "query", "schema": text},
        {"name": "state", "in": "query", "schema": {"enum": [one.value for one in TicketState]}},
        {
            "name": "before",
            "in": "query",
            "schema": {"type": "integer"},
            "description": "tickets with a smaller number",
        },
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}},
    ]
    number = [{"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Andon", "version": "1", "description": "Improvement tickets, for reading."},
        "paths": {
            "/api/v1/tickets": {"get": _operation("Tickets, the newest first", query, "TicketList", ["422"])},
            "/api/v1/tickets/{number}": {"get": _operation("One ticket", number, "TicketWhole", ["404", "422"])},
        },
        "components": {"schemas": schemas},
    }


def _operation(summary: str, parameters: list[dict[str, Any]], model: str, faults: list[str]) -> dict[str, Any]:
    def content(media: str, name: str) -> dict[str, Any]:
        return {"content": {media: {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    wrong = {
        code: {"description": "says what is wrong", **content("application/problem+json", "Problem")} for code in faults
    }
    right = {"200": {"description": summary, **content("application/json", model)}}
    return {"summary": summary, "parameters": parameters, "responses": right | wrong}
