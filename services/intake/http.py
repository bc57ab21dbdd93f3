"""HTTP for webhooks, straight on ASGI: finds the source in the path and sends the reply.

Every webhook passes here, so there is no router and no middleware.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.intake.webhook_body import RequestReader
from shared.connectors.base.source import Reply

PATH = "/v1/ingest/"


class IngestEndpoint:
    """An ASGI application: passes `/v1/ingest/<source>` to `answer`, everything else to `fallback`.

    `answer` gets the source's name and a reader of the request.
    """

    def __init__(self, answer: Callable[[str, RequestReader], Awaitable[Reply]], fallback: ASGIApp) -> None:
        self._answer, self._fallback = answer, fallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            return await self._fallback(scope, receive, send)
        reply = await self._answer(scope["path"][len(PATH) :], RequestReader(scope, receive))
        await send(_response_start(reply))
        await send({"type": "http.response.body", "body": reply.body})
        return None


def _response_start(reply: Reply) -> Message:
    headers = [(b"content-length", str(len(reply.body)).encode())]
    if reply.body:
        headers.append((b"content-type", reply.media_type.encode("latin-1")))
    if reply.headers:
        headers += [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in reply.headers.items()]
    return {"type": "http.response.start", "status": reply.status, "headers": headers}
