"""A maximum size of what is sent to pages and the API: the forms and JSON of people, which are kept in memory."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The longest plan, each of its letters written as twelve bytes of a form.
MAX_BYTES = 2 * 1024 * 1024


class BodyLimit:
    """Answers 413 to whoever sends more."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = MAX_BYTES

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                # FastAPI's own kind: it answers any other fault while it reads a body with 400.
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
