"""Answers what changes something: in one transaction with the change, and once where the request names a key."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.access.roles import current_visitor
from services.tickets.api.faults import ApiFault
from services.tickets.store import api_answers
from services.tickets.web.forms import is_same_origin
from shared.postgres.pool import Connection, Pool
from shared.runtime.clock import Clock

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="any text of your own: within 24 hours, the same request with it is carried out and answered once",
    ),
]
REPLAYED = "Idempotent-Replayed"


@dataclass(frozen=True)
class ChangeAnswer:
    """What a request that changes something is answered. `etag`: of what was changed."""

    body: BaseModel
    etag: str
    status: int = 200


class Answering:
    """`wall`: keys are kept in real time, also where tickets live in a log's."""

    def __init__(self, pool: Pool, wall: Clock) -> None:
        self._pool, self._wall = pool, wall

    async def once(
        self, request: Request, key: str | None, carry_out: Callable[[Connection], Awaitable[ChangeAnswer]]
    ) -> Response:
        """Carry a request out and answer it, or answer it as before. What raises changes nothing and is not kept."""
        if not is_same_origin(request):
            raise ApiFault(403, "the request comes from a page of another site")
        account, asked = current_visitor().account, await _digest(request)
        async with self._pool.acquire() as connection, connection.transaction():
            if key is not None:
                kept = await api_answers.begin(connection, account, key, asked, self._wall.now())
                if kept is not None:
                    return _replayed(kept, asked)
            answer = await carry_out(connection)
            body = answer.body.model_dump_json().encode()
            if key is not None:
                await api_answers.keep(connection, account, key, answer.status, answer.etag, body)
        return _response(answer.status, answer.etag, body)


async def _digest(request: Request) -> bytes:
    """Says whether two requests are the same: address, what they take the ticket to be, and body."""
    head = [request.method, request.url.path, request.url.query, request.headers.get("if-match", "")]
    return hashlib.sha256("\n".join(head).encode() + b"\n" + await request.body()).digest()


def _replayed(kept: api_answers.KeptAnswer, asked: bytes) -> Response:
    if kept.request != asked:
        raise ApiFault(422, "Idempotency-Key: another request had this key; give each request its own")
    answer = _response(kept.status, kept.etag or "", kept.body)
    answer.headers[REPLAYED] = "true"
    return answer


def _response(status: int, etag: str, body: bytes) -> Response:
    return Response(body, status, {"ETag": etag}, "application/json")
