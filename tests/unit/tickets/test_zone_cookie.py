"""The reader's zone comes in a cookie: over HTTPS in one that only this host can set."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.tickets.web.zones import ReaderZone, page_zone


async def _zone(request: Request) -> Response:
    return PlainTextResponse(page_zone("UTC"))


@pytest.mark.parametrize(
    ("cookie", "zone"),
    [
        ("andon_zone=Europe%2FBerlin", "Europe/Berlin"),
        ("__Host-andon_zone=Asia%2FTokyo", "Asia/Tokyo"),
        ("andon_zone=Europe%2FBerlin; __Host-andon_zone=Asia%2FTokyo", "Asia/Tokyo"),
        ("__Host-andon_zone=..%2F..%2Fetc%2Fpasswd", "UTC"),
        ("", "UTC"),
    ],
)
async def test_the_cookie_of_this_host_comes_first(cookie: str, zone: str) -> None:
    app = Starlette(routes=[Route("/", _zone)], middleware=[Middleware(ReaderZone)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://andon.example") as client:
        assert (await client.get("/", headers={"cookie": cookie})).text == zone
