"""Works on tickets: carries out what requests ask of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Path
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from services.tickets.api.actions import Action, VersionedAction
from services.tickets.api.answering import Answering, ChangeAnswer, IdempotencyKey
from services.tickets.api.faults import ApiFault
from services.tickets.api.models import HistoryEntry
from services.tickets.api.preconditions import IfMatch, etag_of, matches, version_in
from services.tickets.api.reading import TicketReader, entries, no_ticket
from services.tickets.domain.faults import AlreadyDone, NotPossibleError
from services.tickets.plan_changes import TicketWriter
from services.tickets.query import number
from services.tickets.store import tickets
from shared.postgres.pool import Connection, Pool


def _number(text: str) -> int:
    try:
        return number(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a ticket's number") from None


TicketNumber = Annotated[int, BeforeValidator(_number), Path()]


class TicketWork:
    """`changed` is called after a commit that changed a ticket."""

    def __init__(
        self,
        pool: Pool,
        reader: TicketReader,
        writer: TicketWriter,
        answering: Answering,
        changed: Callable[[], None],
    ) -> None:
        self._pool, self._reader, self._writer = pool, reader, writer
        self._answering, self._changed = answering, changed

    def endpoint(self, name: str, model: type[Action]) -> Callable[..., Any]:
        """The endpoint of an action."""

        async def act(
            request: Request,
            number: TicketNumber,
            action: Action,
            if_match: IfMatch = None,
            key: IdempotencyKey = None,
        ) -> Response:
            return await self._answer(request, number, action, if_match, key)

        # FastAPI reads the body by the annotation.
        act.__annotations__["action"] = model
        act.__name__ = name
        return act

    async def _answer(
        self, request: Request, number: int, action: Action, if_match: str | None, key: str | None
    ) -> Response:
        async def carry_out(connection: Connection) -> ChangeAnswer:
            await self._carry_out(connection, number, await self._checked(connection, number, action, if_match))
            whole = await self._reader.whole(connection, number)
            return ChangeAnswer(whole, etag_of(whole.seq))

        try:
            answer = await self._answering.once(request, key, carry_out)
        except NotPossibleError as error:
            version = action.version if isinstance(action, VersionedAction) else None
            if version is None and if_match is not None:
                version = version_in(if_match)
            meanwhile = [] if version is None else await self._since(self._pool, number, version)
            raise ApiFault.refused(error, meanwhile) from None
        self._changed()
        return answer

    async def _checked(self, connection: Connection, number: int, action: Action, if_match: str | None) -> Action:
        """The action with the version of the ticket that it is about. Raises ApiFault."""
        is_without = isinstance(action, VersionedAction) and action.version is None
        if if_match is None:
            if is_without:
                raise ApiFault(422, "version: is missing; name the ticket's `seq`, or send its ETag as If-Match")
            return action
        ticket = await tickets.lock(connection, number)
        if ticket is None:
            raise no_ticket(number)
        if not matches(if_match, ticket.seq):
            raise ApiFault(
                412,
                f"If-Match: the ticket has changed; its ETag is {etag_of(ticket.seq)} now",
                await self._since(connection, number, version_in(if_match)),
            )
        return action.model_copy(update={"version": ticket.seq}) if is_without else action

    async def _carry_out(self, connection: Connection, number: int, action: Action) -> None:
        """Carry an action out; what is asked for already is done."""
        try:
            async with connection.transaction():
                if not await action.carry_out(self._writer, connection, number):
                    raise no_ticket(number)
        except AlreadyDone:
            return

    async def _since(self, executor: Connection | Pool, number: int, version: int) -> list[HistoryEntry]:
        """What has changed since a version of the ticket."""
        return entries([row for row in await tickets.history(executor, number) if row["seq"] > version])
