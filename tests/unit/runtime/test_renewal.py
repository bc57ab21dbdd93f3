"""A service that is built anew: its port stays open, requests end where they began, a failed build changes nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.demo.ports import free_port
from shared.runtime import service
from shared.runtime.renewal import ServiceRenewal
from shared.runtime.service import Service, run
from shared.runtime.settings import ServiceSettings
from tests.support.waiting import eventually


class OutOfDate(Exception):
    """Asks for new parts."""


class Built:
    """One generation: a page that says which, one that waits, and a loop that can fail."""

    def __init__(self, number: int) -> None:
        self.number, self.released, self.renewal = number, asyncio.Event(), ServiceRenewal(OutOfDate)
        self.error: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.has_ended = self.is_closed = False

    async def say(self, request: Request) -> Response:
        return PlainTextResponse(str(self.number))

    async def wait(self, request: Request) -> Response:
        await self.released.wait()
        return PlainTextResponse(f"{self.number} {self.is_closed}")

    async def loop(self) -> None:
        try:
            await self.error
        finally:
            self.has_ended = True

    def service(self) -> Service:
        routes = [Route("/", self.say), Route("/wait", self.wait)]
        return Service(Starlette(routes=routes), [self.loop], self.renewal)


class Rebuilding:
    """Builds generations, and runs the service of the newest one."""

    def __init__(self) -> None:
        self.built: list[Built] = []
        self.fails = False
        self.task: asyncio.Task[bool]
        self.settings = ServiceSettings(port=free_port())
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.settings.port}", timeout=30)

    @asynccontextmanager
    async def build(self) -> AsyncIterator[Service]:
        if self.fails:
            raise ValueError("a file is wrong")
        made = Built(len(self.built) + 1)
        self.built.append(made)
        yield made.service()
        made.is_closed = True

    async def says(self) -> str:
        try:
            return (await self.client.get("/")).text
        except httpx.ConnectError:
            return ""


@pytest.fixture
async def rebuilding(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rebuilding]:
    monkeypatch.setattr(service, "RENEW_AGAIN_SECONDS", 0.05)
    thresholds, made = gc.get_threshold(), Rebuilding()
    made.task = asyncio.create_task(run(made.settings, made.build))
    await eventually(made.says)
    yield made
    await made.client.aclose()
    if not made.task.done():
        os.kill(os.getpid(), signal.SIGTERM)
    await made.task
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def ask(one: Built) -> None:
    one.renewal.ask()


def fail(one: Built) -> None:
    one.error.set_exception(OutOfDate())


@pytest.mark.parametrize("begin", [ask, fail])
async def test_a_request_is_answered_by_the_parts_that_it_came_to(
    rebuilding: Rebuilding, begin: Callable[[Built], None]
) -> None:
    [first] = rebuilding.built
    waiting = asyncio.create_task(rebuilding.client.get("/wait"))
    await asyncio.sleep(0.05)
    begin(first)

    assert await eventually(rebuilding.says, lambda text: text == "2")
    assert (first.has_ended, first.is_closed) == (True, False)
    first.released.set()
    assert (await waiting).text == "1 False"

    async def is_closed() -> bool:
        return first.is_closed

    await eventually(is_closed)
    assert not rebuilding.task.done()


async def test_where_no_new_parts_can_be_built_the_old_ones_go_on_until_they_can(rebuilding: Rebuilding) -> None:
    [first] = rebuilding.built
    rebuilding.fails = True
    first.renewal.ask()
    await asyncio.sleep(0.2)

    assert (await rebuilding.says(), first.has_ended, rebuilding.task.done()) == ("1", False, False)
    rebuilding.fails = False
    first.renewal.ask()
    await eventually(rebuilding.says, lambda text: text == "2")


@pytest.mark.parametrize("is_asked", [True, False])
async def test_a_loop_that_failed_ends_the_service_where_nothing_takes_its_place(
    rebuilding: Rebuilding, is_asked: bool
) -> None:
    [first] = rebuilding.built
    rebuilding.fails = True
    first.error.set_exception(OutOfDate() if is_asked else ValueError("a defect"))

    assert await asyncio.wait_for(rebuilding.task, 30) is True
    assert len(rebuilding.built) == 1


async def test_the_parts_before_are_forgotten(rebuilding: Rebuilding) -> None:
    gone = weakref.ref(rebuilding.built[0])
    rebuilding.built[0].renewal.ask()
    await eventually(rebuilding.says, lambda text: text == "2")
    rebuilding.built[0] = rebuilding.built[1]

    async def is_gone() -> bool:
        # An open connection keeps the application of its last request, so that it may go later than the rest.
        gc.unfreeze()
        gc.collect()
        return gone() is None

    await eventually(is_gone)
