"""Metrics of a service's connections to Postgres, and of the size of its schema."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.postgres.pool import TRANSIENT, Pool
from shared.runtime.log import logger
from shared.runtime.measured import MeasuredGauge

_log = logger(__name__)
INTERVAL_SECONDS = 60.0
# With indexes and long values. A partitioned table has no size of its own: its parts are counted.
_BYTES = """
SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relkind IN ('r', 'm')
"""


class SchemaMetrics:
    """The size of schemas."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.bytes = MeasuredGauge(
            "andon_schema_bytes",
            "Bytes of a schema in Postgres, indexes included. Of the system: aggregate by max.",
            ("schema",),
            registry=registry,
            fresh_seconds=3 * INTERVAL_SECONDS,
        )


class PostgresMetrics:
    """One pool and its schema. `run` is a loop of the service."""

    def __init__(self, pool: Pool, schema: str, registry: CollectorRegistry) -> None:
        self._pool, self._schema = pool, schema
        registry.register(PoolUse(pool))
        self._metrics = SchemaMetrics(registry)

    async def run(self) -> None:
        """Measure until cancelled. Goes on while the database is unavailable."""
        while True:
            try:
                await self.measure()
            except TRANSIENT as error:
                _log.warning("metrics refresh failed: database unavailable", error=repr(error))
            await asyncio.sleep(INTERVAL_SECONDS)

    async def measure(self) -> None:
        """Measure once."""
        self._metrics.bytes.set(await self._pool.fetchval(_BYTES, self._schema), self._schema)


class PoolUse(Collector):
    """Connections of a pool, as they are when somebody asks."""

    def __init__(self, pool: Pool | None) -> None:
        self._pool = pool

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """In use, at most, and tasks that wait for one."""
        in_use, at_most, waiting = (0, 0, 0) if self._pool is None else _use_of(self._pool)
        for name, meaning, value in (
            ("andon_pool_connections_in_use", "Connections to Postgres that are in use", in_use),
            ("andon_pool_connections_max", "Connections to Postgres that may be in use at once", at_most),
            ("andon_pool_waiting_tasks", "Tasks that wait for a connection to Postgres", waiting),
        ):
            documentation = f"{meaning}. Of a replica: aggregate by sum."
            yield GaugeMetricFamily(name, documentation, value=value)


def _use_of(pool: Pool) -> tuple[int, int, int]:
    # asyncpg has no public count of those that wait: they are the getters of its queue of connections.
    getters = list(pool._queue._getters) if pool._queue is not None else []  # type: ignore[attr-defined]
    waiting = sum(not getter.done() for getter in getters)
    return pool.get_size() - pool.get_idle_size(), pool.get_max_size(), waiting
