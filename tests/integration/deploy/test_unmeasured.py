"""What cannot be measured is left out: after Postgres is lost, no gauge keeps its last good value."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from tests.integration.deploy.test_observed import DEPLOY
from tests.support.databases import migrated_database
from tests.support.processes import ServiceProcess
from tests.support.waiting import eventually
from tests.support.wire import wire

# Read from the database, by service; all have samples also on an empty database.
MEASURED = {
    "detector": {
        "andon_flow_deals",
        "andon_flow_oldest_age_seconds",
        "andon_flow_over_age_deals",
        "andon_flow_open_problems",
        "andon_detector_judgement_delay_seconds",
    },
    "tickets": {"andon_tickets", "andon_tickets_messages_oldest_seconds"},
    "notifier": {"andon_notifier_waiting", "andon_notifier_unanswered", "andon_notifier_oldest_waiting_seconds"},
    "enricher": {
        "andon_enricher_deals_with_gaps",
        "andon_enricher_deals_wanted",
    },
}
OUTBOX = {"andon_outbox_depth", "andon_outbox_oldest_seconds", "andon_outbox_refused"}
EXPECTED = {(service, name) for service, names in MEASURED.items() for name in names | OUTBOX}
RECONCILED = "andon_enricher_reconciled_timestamp_seconds{"
POSTGRES_DOWN = 'andon_dependency_up{to="postgres"} 0.0'
_SAMPLE = re.compile(r"^(andon_\w+)[ {]", re.MULTILINE)


async def test_no_gauge_keeps_its_value_after_postgres_is_lost(kafka: str, postgres: str, tmp_path: Path) -> None:
    dsn = await migrated_database(postgres)
    await create_topics(KafkaAccess(kafka), "unmeasured.")
    async with wire(dsn) as (line, dsn_over_wire):
        running = [ServiceProcess(name, environment(kafka, dsn_over_wire), tmp_path) for name in MEASURED]
        try:
            await asyncio.gather(*(asyncio.to_thread(one.start().ready) for one in running))
            assert await eventually(lambda: measured(running), lambda found: found == EXPECTED, 60)
            # ReconciliationLate would ring for sources that have no API.
            assert RECONCILED not in await asyncio.to_thread(running[-1].get, "/metrics")
            await line.cut()
            assert await eventually(lambda: measured(running), lambda found: not found, 120) == set()
            for one in running:
                assert POSTGRES_DOWN in await asyncio.to_thread(one.get, "/metrics")
            line.restore()
            assert await eventually(lambda: measured(running), lambda found: found == EXPECTED, 60)
        finally:
            await asyncio.gather(*(asyncio.to_thread(one.stop) for one in running))


def environment(kafka: str, dsn: str) -> dict[str, str]:
    return {
        "ANDON_KAFKA": kafka,
        "ANDON_POSTGRES": dsn,
        "ANDON_TOPIC_PREFIX": "unmeasured.",
        "ANDON_POLICY": str(DEPLOY / "policy.yaml"),
        "ANDON_SOURCES": str(DEPLOY / "sources.yaml"),
        "HUBSPOT_SECRET": "a-secret-for-the-test",
    }


async def measured(running: list[ServiceProcess]) -> set[tuple[str, str]]:
    """Which of the expected metrics have samples now, by service."""
    found = set()
    for (service, _), one in zip(MEASURED.items(), running, strict=True):
        text = await asyncio.to_thread(one.get, "/metrics")
        found |= {(service, name) for name in _SAMPLE.findall(text)}
    return found & EXPECTED
