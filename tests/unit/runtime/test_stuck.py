"""A process with a stuck loop ends itself, unless it waits for a server."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from services.demo.ports import free_port
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.stuck import LoopStuck, StuckWatch


class SwitchedServer(Dependencies):
    """One server, which answers or not."""

    is_up = True

    def unavailable(self) -> dict[str, str]:
        return {} if self.is_up else {"Kafka": "no answer within 2 s"}


class WatchedLoop:
    """A watch over one loop, `relay`, on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.progress, self.server = Progress(lambda: self.now), SwitchedServer({}, CollectorRegistry())
        self.progress.expect("relay", 60)
        self.watch = StuckWatch(self.progress, self.server, 300, monotonic=lambda: self.now)

    def check_at(self, now: float) -> None:
        self.now = now
        self.watch.check()


async def test_a_loop_without_progress_ends_the_process_after_five_minutes_more_than_it_may_take() -> None:
    watched = WatchedLoop()
    watched.progress.beat("relay")

    watched.check_at(60)
    watched.check_at(61)
    watched.check_at(360)

    with pytest.raises(LoopStuck, match="relay: no progress for 361 s"):
        watched.check_at(361)


async def test_a_loop_that_never_begins_ends_the_process_too() -> None:
    watched = WatchedLoop()
    watched.check_at(0)
    watched.check_at(299)

    with pytest.raises(LoopStuck, match="relay: has not begun"):
        watched.check_at(300)


async def test_progress_and_a_server_that_is_away_begin_the_time_anew() -> None:
    watched = WatchedLoop()
    watched.check_at(0)
    watched.progress.beat("relay")
    watched.check_at(200)
    watched.server.is_up = False
    watched.check_at(450)
    watched.server.is_up = True

    watched.check_at(2000)
    watched.check_at(2299)

    with pytest.raises(LoopStuck):
        watched.check_at(2300)


PROGRAM = """
import asyncio
import time
from contextlib import asynccontextmanager
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.service import Service, main
from shared.runtime.settings import ServiceSettings
from shared.runtime.stuck import StuckWatch

async def stuck() -> None:
    progress.expect("stuck", 0.1)
    progress.beat("stuck")
    await asyncio.sleep(0.3)
    {deed}

progress = Progress()

@asynccontextmanager
async def build(settings):
    yield Service(Starlette(), [StuckWatch(progress, Dependencies({}, CollectorRegistry()), 0.8).run, stuck])

main("stuck", ServiceSettings, build)
"""


@pytest.mark.parametrize(
    ("deed", "shown"), [("await asyncio.sleep(600)", "LoopStuck"), ("time.sleep(600)", "Timeout (0:00:00.8")]
)
def test_the_process_ends_whether_a_loop_or_the_event_loop_is_stuck(deed: str, shown: str) -> None:
    program = [sys.executable, "-c", PROGRAM.replace("{deed}", deed)]

    environment = {**os.environ, "ANDON_PORT": str(free_port())}
    ended = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    assert shown in ended.stderr + ended.stdout
    assert "in stuck" in ended.stderr + ended.stdout
