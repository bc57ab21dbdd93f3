"""Wires intake: sources, delivery to Kafka, HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.applications import Starlette

from services.intake.delivery import Delivery
from services.intake.http import IngestEndpoint
from services.intake.ingest import Ingest
from services.intake.metrics import IntakeMetrics
from services.intake.rate_limits import MemoryBudget
from services.intake.settings import IntakeSettings
from shared.connectors.canary import canary_source
from shared.connectors.config import load
from shared.contracts.rights import RIGHTS
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import Publisher
from shared.runtime.dependencies import Dependencies
from shared.runtime.health import Progress
from shared.runtime.loop_delay import LoopDelay
from shared.runtime.service import Service, health_routes, new_registry
from shared.runtime.service import main as run_service
from shared.runtime.stuck import StuckWatch


@asynccontextmanager
async def build(settings: IntakeSettings) -> AsyncIterator[Service]:
    """Read the sources file and wire the service."""
    sources = load(settings.sources) | canary_source(settings.canary_secret.get_secret_value())
    registry, progress = new_registry(settings.revision), Progress()
    metrics = IntakeMetrics(registry, sources)
    publisher = Publisher(KafkaAccess.of(settings), settings.intake_deadline_seconds, metrics.publish_seconds.observe)
    delivery = Delivery(publisher, metrics, progress)
    ingest = Ingest(sources, delivery, metrics, settings.topic_prefix, MemoryBudget(settings.intake_bytes_in_hand))
    kafka = partial(probe.check_rights, KafkaAccess.of(settings), "intake", RIGHTS["intake"], settings.topic_prefix)
    dependencies = Dependencies({"Kafka": kafka}, registry)
    endpoint = IngestEndpoint(ingest.answer, Starlette(routes=health_routes(progress, dependencies, registry)))
    stuck = StuckWatch(progress, dependencies, settings.stuck_seconds)
    yield Service(endpoint, [delivery.run, dependencies.run, LoopDelay(registry).run, stuck.run])
    await publisher.stop()


def main() -> None:
    """`andon intake`."""
    run_service("intake", IntakeSettings, build)
