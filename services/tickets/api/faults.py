"""Faults of the API as `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
_DETAILS = {
    404: "there is no such address",
    405: "the API is read-only; use GET",
    503: "the database does not answer just now; try again in a minute",
}
_OTHER = "this did not work; try again, and contact those who run Andon if it keeps failing"


class Problem(BaseModel):
    """RFC 9457: what is wrong with a request, and the way out."""

    status: int
    detail: str


class ApiFault(Exception):
    """A request that is answered with a `Problem`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.problem = Problem(status=status, detail=detail)


def answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


def answer_of_status(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The answer where only a status is known."""
    detail = f"{_DETAILS.get(status, _OTHER)}; see /api/v1/openapi.json"
    return answer(Problem(status=status, detail=detail), headers)


def is_api(request: Request) -> bool:
    """Whether a program asks, and not a person."""
    return f"{request.url.path}/".startswith("/api/")
