"""A service ends on a signal, even while it waits for something."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from starlette.applications import Starlette

from services.demo.ports import free_port
from shared.postgres.pool import open_pool
from shared.runtime.service import Service, StopLimits, run
from shared.runtime.settings import ServiceSettings
from tests.support.problems import POLICY
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually

SOURCES = 'sources: {close: {kind: close, secrets: ["0123456789abcdef"], api: {token: key}}}'


@pytest.fixture
async def as_before() -> AsyncIterator[None]:
    """Takes back what `run` sets for a whole process."""
    thresholds = gc.get_threshold()
    yield
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture(params=["detector", "tickets", "notifier", "enricher"])
def without_postgres(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that has been started, and that no Postgres answers."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "sources.yaml").write_text(SOURCES)
    environment = {
        "ANDON_KAFKA": f"127.0.0.1:{free_port()}",
        "ANDON_POSTGRES": f"postgresql://andon@127.0.0.1:{free_port()}/andon",
        "ANDON_POLICY": str(tmp_path / "policy.yaml"),
        "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
    }
    process = ServiceProcess(request.param, environment, tmp_path).start()
    yield process
    process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_service_that_waits_for_postgres(
    without_postgres: ServiceProcess, number: signal.Signals
) -> None:
    async def waits() -> bool:
        return "waiting for Postgres" in without_postgres.log.read_text()

    await eventually(waits)
    without_postgres.send_signal(number)

    async def ended() -> int | None:
        return without_postgres.exit_code()

    assert await eventually(ended, lambda code: code is not None) == 0


async def test_a_connection_that_is_not_given_back_is_cut_off_at_the_end(dsn: str, as_before: None) -> None:
    async def crash() -> None:
        raise ValueError("a loop that crashes")

    @asynccontextmanager
    async def build() -> AsyncIterator[Service]:
        pool = await open_pool(dsn, "kept")
        await pool.acquire()
        yield Service(Starlette(), [crash])
        await pool.close()

    assert await asyncio.wait_for(run(ServiceSettings(port=free_port()), build, StopLimits(close=0.1)), 60)

    async def connected() -> int:
        connection = await asyncpg.connect(dsn)
        count = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'andon-kept'")
        await connection.close()
        return int(count)

    assert await eventually(connected, lambda count: count == 0) == 0


# One loop loses its first cancellation, as where a fault takes its place; the other loses all.
DEAF = """
import asyncio
from contextlib import asynccontextmanager, suppress
from starlette.applications import Starlette
from shared.runtime.service import Service, StopLimits, main
from shared.runtime.settings import ServiceSettings

async def deaf(times: int) -> None:
    print("started", flush=True)
    for _ in range(times + 1):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)

@asynccontextmanager
async def build(settings):
    yield Service(Starlette(), [lambda: deaf({times})])

main("deaf", ServiceSettings, build, StopLimits(0.5, 0.5, 0.5))
"""


@pytest.mark.parametrize("times", [1, 1000])
def test_a_loop_that_loses_its_cancellation_does_not_keep_the_process(times: int) -> None:
    environment = {**os.environ, "ANDON_PORT": str(free_port())}
    program = [sys.executable, "-c", DEAF.replace("{times}", str(times))]
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        while b"started" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)

        output, _ = process.communicate(timeout=30)

    assert process.returncode == 0 if times == 1 else b"Timeout" in output
