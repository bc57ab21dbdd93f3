"""The pages of the notifier, where nobody signs in, answer to their own host names, and read no body without end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.notifier.app import MAX_BODY_BYTES, application
from services.notifier.settings import NotifierSettings


async def _page(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.form())))


ROUTES = [Route("/addresses", _page, methods=["GET", "POST"]), Route("/metrics", _page)]


async def _status(settings: NotifierSettings, path: str, host: str) -> int:
    transport = httpx.ASGITransport(application(settings, ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8084") as client:
        return (await client.get(path, headers={"host": host})).status_code


@pytest.mark.parametrize("listens", ["127.0.0.1", "0.0.0.0"])
async def test_a_name_that_a_site_lets_resolve_to_this_machine_shows_no_address(listens: str) -> None:
    settings = NotifierSettings(notifier_url="https://mails.example/andon", host=listens)
    wanted: Mapping[str, int] = {
        "127.0.0.1:8084": 200,
        "localhost:8084": 200,
        "Mails.Example": 200,
        "evil.example:8084": 400,
        "mails.example.evil.example": 400,
    }
    assert {host: await _status(settings, "/addresses", host) for host in wanted} == wanted
    # Prometheus asks by a name of the network, where the service is on one.
    assert await _status(settings, "/metrics", "notifier:8080") == (400 if listens == "127.0.0.1" else 200)


async def test_without_an_address_of_its_own_it_answers_to_this_machine() -> None:
    assert await _status(NotifierSettings(), "/addresses", "127.0.0.1:8084") == 200
    assert await _status(NotifierSettings(), "/addresses", "evil.example") == 400


async def test_a_body_without_end_is_refused() -> None:
    transport = httpx.ASGITransport(application(NotifierSettings(), ROUTES))
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 10_000
            yield b"a" * 10_000

    form = {"content-type": "application/x-www-form-urlencoded"}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8084") as client:
        answer = await client.post("/addresses", content=endless(), headers=form)
    assert answer.status_code == 413
    assert read < 2 * MAX_BODY_BYTES
