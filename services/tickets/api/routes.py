"""`/api/v1`: tickets as JSON, for reading and working on, described by OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from services.tickets.api.actions import ACTIONS, SUMMARIES, Action, VersionedAction
from services.tickets.api.faults import ApiFault, Problem
from services.tickets.api.models import (
    HistoryEntry,
    PlanMeasure,
    TicketFound,
    TicketList,
    TicketMail,
    TicketNow,
    TicketPlan,
    TicketSeal,
    TicketSummary,
    TicketWhole,
)
from services.tickets.domain.faults import AlreadyDone, NotPossibleError
from services.tickets.domain.plan import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.domain.typed import storable
from services.tickets.latest_count import LatestCount, counted_at, latest_counts, with_deals
from services.tickets.plan_changes import TicketWriter
from services.tickets.plan_facts import measure_words, plan_facts
from services.tickets.query import TicketQuery, explain, number
from services.tickets.store import cord_pulls, notices, plans, problems, stages, studies, tickets
from services.tickets.study.measures import measures_of
from services.tickets.web.forms import is_same_origin
from shared.contracts.problems import ProblemData, ProblemInterval
from shared.contracts.tickets import CordFacts
from shared.flow.calendars import AgeClocks
from shared.policy import Policy, StageTitles
from shared.postgres.pool import TRANSIENT, Connection, Pool, Record
from shared.runtime.log import logger
from shared.wording.measures import day_of, unit_of
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
    """The endpoints. `changed` is called after a commit that changed a ticket."""

    def __init__(self, pool: Pool, policy: Policy, writer: TicketWriter, changed: Callable[[], None]) -> None:
        self._pool, self._policy, self._writer, self._changed = pool, policy, writer, changed
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
            description="Improvement tickets: read them, and work on them.",
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
        _add(app, "/tickets/{number}/plan", self.plan, "The plan of a ticket: draft and seals", TicketPlan, 404, 422)
        for name, model in ACTIONS.items():
            _add_action(app, f"/tickets/{{number}}/{name}", self._action(model), SUMMARIES[name])
        return app

    async def tickets(self, query: Annotated[TicketQuery, Query()]) -> TicketList:
        async with self._pool.acquire() as connection:
            found = await tickets.find(connection, query.filter)
            counts = await latest_counts(connection, found)
            first = await problems.found_without_deals(connection, [ticket.problem for ticket in found])
            cords = await cord_pulls.facts(connection, [ticket.id for ticket in found])
            titles = await stages.titles(connection, self._policy)
        more = found[-1].id if len(found) == query.limit else None
        shown = [
            self._summary(t, counts[t.id], one, titles, cords.get(t.id)) for t, one in zip(found, first, strict=True)
        ]
        return TicketList(tickets=shown, next_before=more)

    async def ticket(self, number: TicketNumber) -> TicketWhole:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                raise _no_ticket(number)
            latest = await self._latest(connection, ticket)
            (found,) = await problems.found(connection, [ticket.problem])
            titles = await stages.titles(connection, self._policy)
            history = await tickets.history(connection, number)
            mails = await notices.of_ticket(connection, ticket)
            plan = await plan_facts(connection, ticket, self._policy, titles)
            study = await studies.facts(connection, ticket)
            saved = await plans.draft(connection, number)
            cords = await cord_pulls.facts(connection, [number])
        return TicketWhole(
            **dict(self._summary(ticket, latest, found, titles, cords.get(number))),
            asks_for=text_of(ticket.problem, self._policy, titles).asks_for,
            evidence=latest.problem.evidence,
            evidence_found=found.evidence,
            history=_entries(history),
            mails=[TicketMail(**dict(row)) for row in mails],
            cycle=ticket.cycle,
            decision=ticket.decision,
            plan=plan,
            study=study,
            draft_version=saved.version,
        )

    async def plan(self, number: TicketNumber) -> TicketPlan:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                raise _no_ticket(number)
            saved = await plans.draft(connection, number)
            seals = await plans.seals(connection, number)
            titles = await stages.titles(connection, self._policy)
        measures = [
            PlanMeasure(
                name=chart.name,
                words=measure_words(chart, self._policy, titles),
                unit=unit_of(chart.column, day_of(chart, self._policy)),
            )
            for chart in measures_of(ticket.problem, self._policy)
        ]
        return TicketPlan(
            draft=saved.draft,
            draft_version=saved.version,
            saved_at=saved.saved_at,
            measures=measures,
            seals=[_seal(one) for one in seals],
        )

    def _action(self, model: type[Action]) -> Callable[..., Any]:
        """The endpoint of an action."""

        async def act(request: Request, number: TicketNumber, action: Action) -> TicketWhole:
            if not is_same_origin(request):
                raise ApiFault(403, "the request comes from a page of another site")
            await self._carry_out(number, action)
            return await self.ticket(number)

        # FastAPI reads the body by the annotation.
        act.__annotations__["action"] = model
        return act

    async def _carry_out(self, number: int, action: Action) -> None:
        """Carry out an action in a transaction; what is asked for already is done."""
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                if not await action.carry_out(self._writer, connection, number):
                    raise _no_ticket(number)
        except AlreadyDone:
            return
        except NotPossibleError as error:
            version = action.version if isinstance(action, VersionedAction) else None
            raise ApiFault.refused(error, await self._meanwhile(number, version)) from None
        self._changed()

    async def _meanwhile(self, number: int, version: int | None) -> list[HistoryEntry]:
        """What has changed since a version of the ticket."""
        rows = [] if version is None else await tickets.history(self._pool, number)
        return _entries([row for row in rows if row["seq"] > (version or 0)])

    async def deals(self, number: TicketNumber) -> Response:
        async with self._pool.acquire() as connection:
            ticket = await tickets.get(connection, number)
            if ticket is None:
                raise _no_ticket(number)
            latest = await self._latest(connection, ticket)
        return deals_csv.download(latest.problem, number, marked=False)

    async def _latest(self, connection: Connection, ticket: Ticket) -> LatestCount:
        """The ticket's problem as it is now, with its deals."""
        latest = (await latest_counts(connection, [ticket]))[ticket.id]
        return await with_deals(connection, latest, self._policy, self._clocks)

    def _summary(
        self, ticket: Ticket, latest: LatestCount, found: ProblemData, titles: StageTitles, cord: CordFacts | None
    ) -> TicketSummary:
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
            cord=cord,
        )


def _no_ticket(number: int) -> ApiFault:
    return ApiFault(404, f"there is no ticket {number}; see {PREFIX}/tickets")


def _entries(history: Sequence[Record]) -> list[HistoryEntry]:
    return [HistoryEntry(**{name: row[name] for name in HistoryEntry.model_fields}) for row in history]


def _seal(sealed: SealedPlan) -> TicketSeal:
    return TicketSeal(
        cycle=sealed.cycle,
        number=sealed.number,
        sealed_at=sealed.sealed_at,
        reason=sealed.reason,
        hash=sealed.hash,
        before=sealed.before,
        content=sealed.content.decode(),
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


def _explain(errors: Sequence[Any]) -> str:
    """The first fault of a request: of its address, or of a field of its body."""
    first = errors[0]
    if first["loc"][0] != "body":
        return explain(errors)
    place = ".".join(map(str, first["loc"][1:])) or "body"
    if first["type"] == "extra_forbidden":
        return f"{place}: no such field; see {PREFIX}/openapi.json"
    text = str(first.get("ctx", {}).get("error") or first["msg"])
    if first["type"] == "missing":
        return f"{place}: is missing; see {PREFIX}/openapi.json"
    return f"{place}: {str(first['input'])[:40]!r}: {text}"


def _add_action(app: FastAPI, path: str, endpoint: Callable[..., Any], summary: str) -> None:
    """Add an endpoint for POST."""
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": "What does not fit, and the way out"}
        for status in (403, 404, 409, 422)
    }
    app.add_api_route(path, endpoint, methods=["POST"], summary=summary, response_model=TicketWhole, responses=refusals)


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
