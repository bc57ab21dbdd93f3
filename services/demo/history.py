"""Prepares topics and tables, and loads the simulated CRM's history through the running services."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import asyncpg
from aiokafka.errors import KafkaError

from services.demo.server import ServerError
from services.demo.topology import Topology
from services.detector import control
from services.importer.load import LoadProgress, wait_and_reevaluate
from services.simulator import run
from services.simulator.post import poster
from services.simulator.run import SimulationJournal
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.postgres.migrate import migrate_all
from shared.postgres.roles import grant_roles
from shared.runtime.addresses import printable_dsn

# Shows progress: called with a label and an estimate of the total, as services.cli.progress.load_bars.
ShowLoad = Callable[[str, Callable[[int], int | None]], AbstractContextManager[LoadProgress]]


async def prepare(topology: Topology, hold: bool) -> None:
    """Create topics and tables; `hold` pauses evaluation, for a history to be loaded. Raises ServerError."""
    try:
        await create_topics(KafkaAccess.of(topology.detector_settings()))
    except KafkaError as error:
        raise ServerError(f"Kafka at {topology.kafka} (ANDON_KAFKA) cannot be used: {error}") from None
    try:
        await migrate_all(topology.postgres)
        if topology.passwords:
            await grant_roles(topology.postgres, topology.passwords)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        address = printable_dsn(topology.postgres)
        raise ServerError(f"Postgres at {address} (ANDON_POSTGRES) cannot be used: {error}") from None
    if hold:
        await control.hold(topology.detector_settings())


async def load_history(topology: Topology, journal: SimulationJournal, show: ShowLoad) -> None:
    """Post the history, wait until the detector has read it, and evaluate it as a whole."""
    changes = run.history(journal.seed, journal.days, journal.end)
    total = sum(len(change.properties) + change.created for change in changes)
    with show("half a year of webhooks posted", lambda done: total) as progress:
        async with poster(topology.webhook_url, topology.secret) as sender:
            await run.post_history(sender, journal, progress.published)
        await wait_and_reevaluate(topology.detector_settings(), 0, progress)
