"""The servers of a service that consumes: Kafka and Postgres."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry

from shared.contracts.rights import RIGHTS
from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.postgres.probe import PostgresProbe
from shared.runtime.dependencies import Dependencies
from shared.runtime.settings import ServiceSettings


def dependencies_of(service: str, settings: ServiceSettings, registry: CollectorRegistry) -> Dependencies:
    """Kafka with the rights that the service needs on it, and Postgres, as the settings name them."""
    kafka = partial(probe.check_rights, KafkaAccess.of(settings), service, RIGHTS[service], settings.topic_prefix)
    return Dependencies({"Kafka": kafka, "Postgres": PostgresProbe(settings.dsn)}, registry)
