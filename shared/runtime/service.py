"""Runs a service: HTTP, loops, signals, an orderly stop. A crashed loop ends the process, to be restarted."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import uvicorn
import uvloop
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from shared.runtime import tracing
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import LoopReady, Progress
from shared.runtime.http_limits import LimitedHttpProtocol
from shared.runtime.log import configure, logger
from shared.runtime.renewal import Front, ServiceRenewal
from shared.runtime.settings import ServiceSettings, SettingsError
from shared.runtime.version import product_version
from shared.runtime.yaml_file import FaultsError

_log = logger(__name__)
MOST_CONNECTIONS = 4096
# How old an answer of /metrics may be. Intake serves it on the port of webhooks, where anybody may ask for it.
METRICS_SECONDS = 1.0
# How long a request to /metrics waits for a new answer before it gets the one before.
PATIENCE_SECONDS = 0.03
# How soon to build a service anew again where that failed.
RENEW_AGAIN_SECONDS = 30.0
Loop = Callable[[], Awaitable[None]]


class CannotStart(Exception):
    """What a service lacks before it can start, with the way out."""


@dataclass(frozen=True)
class StopLimits:
    """Seconds that a stop may take: for the loops to finish, to close what was built, and to end the process after."""

    loops: float = 15
    close: float = 5
    exit: float = 10


LIMITS = StopLimits()


class Service:
    """What `build` returns: an ASGI application, the loops to run with it, and who may ask to build it anew."""

    def __init__(self, application: ASGIApp, loops: Sequence[Loop], renewal: ServiceRenewal | None = None) -> None:
        self.application = application
        self.loops = loops
        self.renewal = ServiceRenewal() if renewal is None else renewal


Build = Callable[[], AbstractAsyncContextManager[Service]]


def new_registry(revision: str) -> CollectorRegistry:
    """A registry for one service, with the metrics of its process and its build. `revision`: of the source."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    Gauge(
        "andon_build_info",
        "1; the version that runs, and the revision of its source. Of a replica: aggregate by max.",
        ["version", "revision"],
        registry=registry,
    ).labels(product_version(), revision).set(1)
    return registry


class LatestMetrics:
    """The text of all metrics, generated at most once in METRICS_SECONDS, in a thread.

    Tens of thousands of series take longer to write than anybody should wait: after PATIENCE_SECONDS the answer is the
    text before, and the new one serves the next request.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry, self._text, self._at = registry, b"", float("-inf")
        self._generating: asyncio.Future[bytes] | None = None

    async def text(self) -> bytes:
        """The latest text; empty where it cannot be generated. Only the first is waited for as long as it takes."""
        if self._generating is None and time.monotonic() - self._at >= METRICS_SECONDS:
            self._at = time.monotonic()
            self._generating = asyncio.ensure_future(asyncio.to_thread(generate_latest, self._registry))
            self._generating.add_done_callback(self._keep)
        if self._generating is not None:
            await asyncio.wait([self._generating], timeout=PATIENCE_SECONDS if self._text else None)
        return self._text

    def _keep(self, generated: asyncio.Future[bytes]) -> None:
        self._generating, self._text = None, b""
        if generated.cancelled():
            return
        if error := generated.exception():
            _log.error("metrics cannot be generated", error=repr(error), exc_info=error)
        else:
            self._text = generated.result()


def health_routes(progress: Progress, dependencies: Dependencies, registry: CollectorRegistry) -> list[BaseRoute]:
    """`/livez`, `/readyz` and `/metrics`. Ready: every loop makes progress, and the servers it needs answer."""

    async def livez(request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(request: Request) -> Response:
        stuck, unavailable = progress.stuck(), dependencies.unavailable()
        is_ready = not stuck and not unavailable
        content = {"ready": is_ready, "stuck": stuck, "unavailable": unavailable}
        return JSONResponse(content, status_code=200 if is_ready else 503)

    registry.register(LoopReady(progress))
    latest = LatestMetrics(registry)

    async def metrics(request: Request) -> Response:
        text = await latest.text()
        return Response(text, media_type=CONTENT_TYPE_LATEST, status_code=200 if text else 500)

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)]


Settings = TypeVar("Settings", bound=ServiceSettings)


def main(
    name: str,
    settings_type: type[Settings],
    build: Callable[[Settings], AbstractAsyncContextManager[Service]],
    limits: StopLimits = LIMITS,
) -> None:
    """Entry point of a service: settings, logs, run. Exits 0 after a signal, 1 after a crash or on wrong settings."""
    try:
        settings = settings_type.from_environment()
    except SettingsError as error:
        sys.exit(f"{name} cannot start, its settings are wrong:\n{error}")
    configure(settings.log, name)
    try:
        tracing.start(name, settings.replica, settings.traces, settings.traces_share)
        failed = uvloop.run(run(settings, lambda: build(settings), limits, partial(_exit_soon, limits)))
    except FaultsError as error:
        sys.exit(f"{name} cannot start, a file is wrong:\n{error}")
    except (CannotStart, tracing.TracesMissing) as error:
        sys.exit(f"{name} cannot start: {error}")
    finally:
        tracing.stop()
    sys.exit(1 if failed else 0)


async def run(
    settings: ServiceSettings, build: Build, limits: StopLimits = LIMITS, leaving: Callable[[], None] = lambda: None
) -> bool:
    """Run until a signal or a crash. True: a loop crashed. `leaving` is called when only closing is left."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    waiter = asyncio.ensure_future(stop.wait())
    running = _Running(settings, build, waiter, limits)
    try:
        failed = await running.run()
    finally:
        waiter.cancel()
        leaving()
        await running.leave()
    _log.info("stopped", crashed=failed)
    return failed


def _exit_soon(limits: StopLimits) -> None:
    """If anything hangs from here on, show where and end the process. A stop must not need a kill -9."""
    faulthandler.dump_traceback_later(limits.close + limits.exit, exit=True)


async def _unless(stopped: asyncio.Future[Any], built: Coroutine[Any, Any, Service]) -> Service | None:
    """The built service; None when the stop comes first. Building waits for Postgres as long as it takes."""
    building = asyncio.ensure_future(built)
    try:
        await asyncio.wait([stopped, building], return_when=asyncio.FIRST_COMPLETED)
    finally:
        # No effect once it is built.
        building.cancel()
        await asyncio.wait([building])
    return None if building.cancelled() else building.result()


class _Running:
    """A service from its first build to its end."""

    def __init__(
        self, settings: ServiceSettings, build: Build, stopped: asyncio.Future[Any], limits: StopLimits
    ) -> None:
        self._settings, self._build, self._stopped, self._limits = settings, build, stopped, limits
        self._parts = AsyncExitStack()

    async def run(self) -> bool:
        """Serve until the stop or a crash. True: a loop crashed."""
        # No name for it here, which would keep the first parts for as long as the process lives.
        return await self._serve(await _unless(self._stopped, self._parts.enter_async_context(self._build())))

    async def leave(self) -> None:
        """Close what was built."""
        await _leave(self._parts, self._limits)

    async def _serve(self, service: Service | None) -> bool:
        if service is None:
            return False
        front = Front(service.application)
        server = _server(front, self._settings)
        serving = asyncio.ensure_future(server.serve())
        tasks = _started(service)
        _settle_memory()
        _log.info("started", host=self._settings.host, port=self._settings.port)
        while await self._must_renew(service, [*tasks, serving]):
            following = await self._build_again(service, [*tasks, serving])
            if following is not None:
                await _end(tasks, self._limits)
                before, (service, self._parts) = self._parts, following
                tasks = _started(service)
                await front.switch(service.application, self._limits.loops)
                await _leave(before, self._limits)
                _settle_memory()
                _log.info("renewed")
            elif any(task.done() for task in tasks):
                break
        failed = _crashed([*tasks, serving])
        server.should_exit = True
        await _end(tasks, self._limits, serving)
        return failed

    async def _must_renew(self, service: Service, tasks: Sequence[asyncio.Future[None]]) -> bool:
        """Wait for the first end of anything; True: new parts are asked for."""
        asked = asyncio.ensure_future(service.renewal.asked())
        await asyncio.wait([self._stopped, asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
        errors = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        is_asked = asked.done() or bool(errors)
        asked.cancel()
        return is_asked and not self._stopped.done() and all(map(service.renewal.is_asked_by, errors))

    async def _build_again(
        self, service: Service, tasks: Sequence[asyncio.Future[None]]
    ) -> tuple[Service, AsyncExitStack] | None:
        """New parts, beside those that still run; None: there are none now, so that these go on."""
        parts = AsyncExitStack()
        try:
            following = await _unless(self._stopped, parts.enter_async_context(self._build()))
        except Exception as error:
            _log.error("cannot be renewed yet", error=repr(error), exc_info=error)
            following = None
        if following is not None:
            return following, parts
        await _leave(parts, self._limits)
        service.renewal.forget()
        await asyncio.wait([self._stopped, *tasks], timeout=RENEW_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return None


def _started(service: Service) -> list[asyncio.Future[None]]:
    """The loops, as tasks."""
    return [asyncio.ensure_future(loop()) for loop in service.loops]


def _settle_memory() -> None:
    """Forget what is gone, and look at what is built no more."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    # Thousands of live models make collections at the default thresholds expensive.
    gc.set_threshold(100_000, 20, 50)
    # A thread that draws or learns would else keep the loop waiting for 5 ms after each answer of the database.
    sys.setswitchinterval(0.001)


def _server(application: ASGIApp, settings: ServiceSettings) -> uvicorn.Server:
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        log_level="error",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
        http=LimitedHttpProtocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
    )
    return _QuietServer(config)


class _QuietServer(uvicorn.Server):
    """Leaves signals to us. uvicorn would raise them again after its own stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _crashed(tasks: Sequence[asyncio.Future[None]]) -> bool:
    failed = False
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()):
            failed = True
            _log.error("loop crashed", error=repr(error), exc_info=error)
        elif task.done():
            failed = True
            _log.error("loop ended without a reason")
    return failed


async def _end(
    loops: Sequence[asyncio.Future[None]], limits: StopLimits, server: asyncio.Future[None] | None = None
) -> None:
    """Cancel the loops, let a server that is to exit drain, and give both time to finish.

    A cancellation can be lost: a fault of the connection in a `finally` takes its place. So what still runs after that
    time is cancelled again.
    """
    for task in loops:
        task.cancel()
    if tasks := [*loops, *([] if server is None else [server])]:
        ended, running = await asyncio.wait(tasks, timeout=limits.loops)
        for task in running:
            _log.warning("a loop does not stop, cancelled again", loop=repr(task))
            task.cancel()
        for task in ended:
            # Seen: asyncio would report what a loop raised as it ended.
            task.cancelled() or task.exception()


async def _leave(parts: AsyncExitStack, limits: StopLimits) -> None:
    """Close what was built, within a limit. A pool whose closing is cancelled terminates its connections."""
    try:
        async with asyncio.timeout(limits.close):
            await parts.aclose()
    except TimeoutError:
        _log.warning("closing took too long, cut off", seconds=limits.close)


async def every(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Call `step` until cancelled, with this pause in between."""
    while True:
        await step()
        await asyncio.sleep(seconds)
