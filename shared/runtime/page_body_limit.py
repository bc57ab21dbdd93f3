"""A maximum size of what is sent to pages and APIs: forms and JSON, which are kept in memory."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class PageBodyLimit:
    """Answers 413 to whoever sends more."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._max_bytes

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                # FastAPI's own kind: it answers any other fault while it reads a body with 400.
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
