"""Faults of the API as `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel
from starlette.requests import HTTPConnection
from starlette.responses import Response

from services.tickets.api.models import HistoryEntry
from services.tickets.domain.draft import IncompletePlanError
from services.tickets.domain.faults import NotPossibleError, TooLateError, UnconfirmedError

MEDIA_TYPE = "application/problem+json"
_DETAILS = {
    400: "the body cannot be read; send JSON in UTF-8",
    401: "show a valid API token, as in Authorization: Bearer andon_...; your account's page makes one",
    403: "your role or your token's scope does not allow this; a browser's session needs the header X-CSRF-Token, too",
    404: "there is no such address",
    405: "this address does not work like that; use the method of the header Allow",
    413: "the body is larger than 2 MB; send a shorter one",
    429: "too many requests with this token; wait as long as the header Retry-After says",
    503: "the database does not answer just now; try again in a minute",
}
_OTHER = "this did not work; try again, and contact those who run Andon if it keeps failing"


class FieldFault(BaseModel):
    """What is wrong with a field of a draft."""

    field: str
    detail: str


class Problem(BaseModel):
    """RFC 9457: what is wrong with a request, and the way out.

    409: the ticket is other than the request takes it to be, 412: than its If-Match does. `changes` has what changed
    since its version; `confirm`: the same request is carried out with `version` as it is now, and `confirmed`.
    """

    status: int
    detail: str
    field: str | None = None
    faults: list[FieldFault] = []
    changes: list[HistoryEntry] = []
    confirm: bool = False


class ApiFault(Exception):
    """A request that is answered with a `Problem`."""

    def __init__(
        self,
        status: int,
        detail: str,
        changes: Sequence[HistoryEntry] = (),
        confirm: bool = False,
        field: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(status=status, detail=detail, field=field, changes=list(changes), confirm=confirm)

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
    if status == 401:
        headers = {"WWW-Authenticate": 'Bearer realm="andon"'} | dict(headers or {})
    return answer(Problem(status=status, detail=detail), headers)


def is_api(request: HTTPConnection) -> bool:
    """Whether a program asks, and not a person."""
    return f"{request.scope['path']}/".startswith("/api/")
