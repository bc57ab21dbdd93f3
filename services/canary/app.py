"""Wires the canary: once, or every so many seconds with health and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette

from services.canary.metrics import CanaryMetrics
from services.canary.settings import CanarySettings
from services.canary.way import ATTEMPTS, CanaryOutcome, CanaryWay
from shared.contracts.rights import RIGHTS
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.log import logger
from shared.runtime.service import Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch

_log = logger(__name__)
PART = "canary"
# Opening, five steps and closing, each at its longest.
_PARTS_OF_A_RUN = 8


class CanaryLoop:
    """Tries the way again and again, begun every so many seconds."""

    def __init__(self, way: CanaryWay, every: float, within: float, metrics: CanaryMetrics, progress: Progress) -> None:
        self._way, self._every, self._metrics, self._progress = way, every, metrics, progress
        self._longest = every + ATTEMPTS * _PARTS_OF_A_RUN * within

    async def run(self) -> None:
        """Run until cancelled."""
        self._progress.expect(PART, self._longest)
        while True:
            began = time.monotonic()
            outcome = await self._way.attempt()
            self._metrics.show(outcome)
            report(outcome)
            self._progress.beat(PART)
            await asyncio.sleep(max(0.0, began + self._every - time.monotonic()))


def report(outcome: CanaryOutcome) -> None:
    """Log what became of a run."""
    seconds = {step.value: round(took, 3) for step, took in outcome.seconds.items()}
    if outcome.result == "passed":
        _log.info("the canary went all the way", **seconds)
    else:
        stuck = outcome.stuck.value if outcome.stuck else ""
        _log.warning("the canary did not go all the way", stuck=stuck, why=outcome.why, **seconds)


@asynccontextmanager
async def build(settings: CanarySettings, every: float, within: float) -> AsyncIterator[Service]:
    """Wire the service."""
    registry, progress = new_registry(settings.revision), Progress()
    kafka = partial(probe.check_rights, KafkaAccess.of(settings), "canary", RIGHTS["canary"], settings.topic_prefix)
    dependencies = Dependencies({"Kafka": kafka}, registry)
    loop = CanaryLoop(CanaryWay(settings, within), every, within, CanaryMetrics(registry), progress)
    application = Starlette(routes=health_routes(progress, dependencies, registry))
    stuck = StuckWatch(progress, dependencies, settings.stuck_seconds)
    yield Service(application, [loop.run, dependencies.run, stuck.run])


def serve(every: float, within: float) -> None:
    """`andon canary --every`: run until stopped."""
    run_service("canary", CanarySettings, partial(build, every=every, within=within))
