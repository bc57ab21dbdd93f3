"""The servers of a service that consumes: Kafka and Postgres."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry

from shared.kafka import probe
from shared.postgres.probe import PostgresProbe
from shared.runtime.dependencies import Dependencies
from shared.runtime.settings import ServiceSettings


def dependencies_of(settings: ServiceSettings, registry: CollectorRegistry) -> Dependencies:
    """Kafka and Postgres, as the settings name them."""
    return Dependencies(
        {"Kafka": partial(probe.ping, settings.kafka), "Postgres": PostgresProbe(settings.dsn)}, registry
    )
