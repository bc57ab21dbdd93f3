"""A receiver of hooks on loopback: a real HTTP server with answers that a test chooses."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from services.demo.ports import free_port
from tests.support.http_server import TestServer


@dataclass(frozen=True)
class HookAnswered:
    """What the server answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "ok"
    seconds: float = 0.0


@dataclass(frozen=True)
class GotHook:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class HookReceiver:
    """`answers`: the next ones, then 200. `on_request` runs when one has come, before its answer."""

    def __init__(self, port: int, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}/in?key=1"
        self.got: list[GotHook] = []
        self.answers: list[HookAnswered] = []
        self.usual = HookAnswered()
        self.on_request: Callable[[], None] = lambda: None

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.got]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.got.append(GotHook(str(request.url.path), dict(request.headers), body))
        await asyncio.to_thread(self.on_request)
        answer = self.answers.pop(0) if self.answers else self.usual
        await asyncio.sleep(answer.seconds)
        await Response(answer.body, answer.status, answer.headers)(scope, receive, send)


@contextmanager
def hook_receiver(certificate: Path | None = None) -> Iterator[HookReceiver]:
    """Serve until the end. `certificate`: PEM of certificate and key, for https."""
    port = free_port()
    receiver = HookReceiver(port, "https" if certificate else "http")
    config = uvicorn.Config(
        receiver, host="127.0.0.1", port=port, log_level="error", lifespan="off", ssl_certfile=certificate
    )
    server = TestServer(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield receiver
    finally:
        server.end()
        thread.join(10)


def trusting(authority: str) -> ssl.SSLContext:
    """TLS of a client that trusts one CA."""
    return ssl.create_default_context(cadata=authority)
