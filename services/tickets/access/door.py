"""Answers requests that may not be, and writes refusals and exports down."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from services.tickets.access.audit import AuditEvent
from services.tickets.access.pages import SignInPages
from services.tickets.access.roles import current_visitor
from services.tickets.api import faults
from services.tickets.store import audit
from shared.postgres.pool import Pool
from shared.runtime.clock import Clock


class AuditedDoor:
    """The door of pages and API."""

    def __init__(self, pages: SignInPages, pool: Pool, wall: Clock) -> None:
        self._pages, self._pool, self._wall = pages, pool, wall

    async def refused(self, request: Request, status: int) -> Response:
        if current_visitor().is_signed_in:
            await self._note(AuditEvent.REFUSED, request, status=status)
        return faults.answer_of_status(status) if faults.is_api(request) else self._pages.refuse(request, status)

    async def exported(self, request: Request) -> None:
        if current_visitor().is_signed_in:
            await self._note(AuditEvent.EXPORTED, request)

    async def _note(self, event: AuditEvent, request: Request, **detail: int) -> None:
        asked = {"method": request.method, "path": request.scope["path"][:200]} | detail
        await audit.note(self._pool, self._wall.now(), event, current_visitor().account, **asked)
