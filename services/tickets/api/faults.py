"""Faults of the API as `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.api.models import HistoryEntry
from services.tickets.domain.draft import IncompletePlanError
from services.tickets.domain.faults import NotPossibleError, TooLateError, UnconfirmedError

MEDIA_TYPE = "application/problem+json"
_DETAILS = {
    404: "there is no such address",
    405: "this address does not work like that; use the method of the header Allow",
    413: "the body is larger than 2 MB; send a shorter one",
    503: "the database does not answer just now; try again in a minute",
}
_OTHER = "this did not work; try again, and contact those who run Andon if it keeps failing"


class FieldFault(BaseModel):
    """What is wrong with a field of a draft."""

    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457: what is wrong with a request, and the way out.

    409: the ticket is other than the request takes it to be. `changes` has what changed since its version;
    `confirm`: the same request is carried out with `version` as it is now, and `confirmed`.
    """

    status: int
    detail: str
    field: str | None = None
    faults: list[FieldFault] = []
    changes: list[HistoryEntry] = []
    confirm: bool = False


class ApiFault(Exception):
    """A request that is answered with a `Problem`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(status=status, detail=detail)

    @classmethod
    def refused(cls, error: NotPossibleError, meanwhile: list[HistoryEntry]) -> ApiFault:
        """A request that does not fit. `meanwhile`: what has changed since it was decided on."""
        is_other = isinstance(error, TooLateError | UnconfirmedError)
        fault = cls(409 if is_other else 422, str(error))
        faults = error.faults if isinstance(error, IncompletePlanError) else ()
        fault.problem = fault.problem.model_copy(
            update={
                "field": error.field or None,
                "faults": [FieldFault(field=one.field, detail=one.text) for one in faults],
                "changes": meanwhile,
                "confirm": isinstance(error, UnconfirmedError),
            }
        )
        return fault


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(problem.model_dump_json(exclude_defaults=True), problem.status, headers, MEDIA_TYPE)


def answer_of_status(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The answer where only a status is known."""
    detail = f"{_DETAILS.get(status, _OTHER)}; see /api/v1/openapi.json"
    return answer(Problem(status=status, detail=detail), headers)


def is_api(request: Request) -> bool:
    """Whether a program asks, and not a person."""
    return f"{request.url.path}/".startswith("/api/")
