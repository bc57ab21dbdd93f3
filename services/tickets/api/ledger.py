"""The learning ledger of the API: every attempt, what was predicted, and what came of it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.api.faults import ApiFault
from services.tickets.api.models_of_flow import AttemptWhole, LedgerList
from services.tickets.api.paging import next_page
from services.tickets.api.parts import ApiParts
from services.tickets.query import MAX_LIMIT, limit_of
from services.tickets.store import ledger
from services.tickets.store.ledger import Attempt, AttemptNumber
from services.tickets.web.ledger_page import LedgerChoice
from shared.postgres.pool import snapshot

_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")


def _cursor(text: str) -> str:
    if text and _CURSOR.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no place in the ledger; use next_before of the page before")
    return text


class AttemptQuery(LedgerChoice):
    """Filters of the ledger; without one, all attempts."""

    before: Annotated[str, AfterValidator(_cursor)] = Field("", description="attempts after this one: ticket-cycle")
    limit: Annotated[int, BeforeValidator(limit_of)] = Field(50, json_schema_extra={"minimum": 1, "maximum": MAX_LIMIT})


class LedgerEndpoint:
    def __init__(self, parts: ApiParts) -> None:
        self._pool = parts.pool

    async def attempts(
        self, request: Request, response: Response, query: Annotated[AttemptQuery, Query()]
    ) -> LedgerList:
        async with snapshot(self._pool) as connection:
            numbers = await ledger.numbers(connection, query.filter)
            start = _place_after(numbers, query.before)
            wanted = numbers[start : start + query.limit]
            found = await ledger.of_numbers(connection, wanted)
        is_end = start + query.limit >= len(numbers)
        more = None if is_end else "{}-{}".format(*wanted[-1])
        if more is not None:
            response.headers["Link"] = next_page(request, more)
        return LedgerList(attempts=[_attempt(one) for one in found], next_before=more)


def _place_after(numbers: list[AttemptNumber], before: str) -> int:
    """Where a page begins. Raises ApiFault where the attempt before it is none of the choice."""
    if not before:
        return 0
    ticket, cycle = map(int, before.split("-"))
    try:
        return numbers.index((ticket, cycle)) + 1
    except ValueError:
        raise ApiFault(422, "before: there is no such attempt; use next_before of the page before") from None


def _attempt(one: Attempt) -> AttemptWhole:
    sealed, plan = one.sealed, one.sealed.plan
    size = plan.predicted.size
    return AttemptWhole(
        ticket=sealed.ticket,
        cycle=sealed.cycle,
        kind=one.problem.kind,
        pipeline=one.problem.pipeline,
        stage=one.problem.stage,
        sealed_at=sealed.sealed_at,
        hash=sealed.hash,
        aim=plan.aim,
        measure=plan.measure.name,
        change=plan.change,
        countermeasure=plan.countermeasure,
        change_date=plan.change_date,
        predicted_size=None if size is None else float(size),
        predicted_in=plan.predicted.unit.value,
        why=plan.predicted.why,
        found=one.found,
        study=one.study,
        decision=one.decision,
        because=one.because,
    )
