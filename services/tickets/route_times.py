"""How long pages and API take, by route, and the traces that they begin."""

from __future__ import annotations

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.runtime import tracing

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class RouteTimes:
    """Times requests. The label is the pattern of the route, never an address: no ticket is in it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "andon_http_request_seconds",
            "time from request to the end of its response, by pattern of the address and class of status (2xx). "
            "Of a replica: aggregate by sum.",
            ["route", "status"],
            buckets=SECONDS,
            registry=registry,
        )

    def watch(self, routes: Iterable[BaseRoute], prefix: str = "") -> None:
        """Time each of the routes, and those that are mounted."""
        for route in routes:
            if isinstance(route, Mount) and route.routes:
                self.watch(route.routes, prefix + route.path)
            elif isinstance(route, Route | Mount):
                route.app = _TimedRoute(route.app, prefix + route.path, self._seconds)


class _TimedRoute:
    """Middleware around one route."""

    def __init__(self, app: ASGIApp, pattern: str, seconds: Histogram) -> None:
        self._app, self._pattern, self._seconds = app, pattern, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What raises is answered with 500 outside.
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with tracing.request(f"{scope['method']} {self._pattern}"):
                await self._app(scope, receive, observed)
        finally:
            self._seconds.labels(self._pattern, f"{status // 100}xx").observe(time.perf_counter() - started)
