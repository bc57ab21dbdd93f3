"""Times of pages and API by route: the pattern is the label, never the address."""

from __future__ import annotations

import httpx
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from services.tickets.route_times import RouteTimes


async def answer(request: Request) -> PlainTextResponse:
    number = int(request.path_params["number"])
    if number == 404:
        raise HTTPException(404)
    return PlainTextResponse("ticket" if number else str(1 / number))


async def test_requests_are_timed_by_pattern_and_class_of_status() -> None:
    routes = [Route("/tickets/{number}", answer), Mount("/api", routes=[Route("/tickets/{number}", answer)])]
    registry = CollectorRegistry()
    RouteTimes(registry).watch(routes)
    transport = httpx.ASGITransport(Starlette(routes=routes), raise_app_exceptions=False)

    async with httpx.AsyncClient(transport=transport, base_url="http://andon") as client:
        for address in ("/tickets/7", "/tickets/8", "/tickets/404", "/tickets/0", "/api/tickets/7", "/nowhere/9"):
            await client.get(address)

    counts = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith("_count")
    }
    assert counts == {
        ("/tickets/{number}", "2xx"): 2,
        ("/tickets/{number}", "4xx"): 1,
        ("/tickets/{number}", "5xx"): 1,
        ("/api/tickets/{number}", "2xx"): 1,
    }
