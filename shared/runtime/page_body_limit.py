"""A maximum size of what is sent to pages and APIs: forms and JSON, which are kept in memory."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class PageBodyLimit:
    """Answers 413 to whoever sends more.

    `too_large`: the kind of exception. FastAPI answers any but its own, while it reads a body, with 400.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, too_large: type[HTTPException] = HTTPException) -> None:
        self._app, self._max_bytes, self._too_large = app, max_bytes, too_large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = self._max_bytes

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise self._too_large(413)
            return message

        await self._app(scope, limited, send)
