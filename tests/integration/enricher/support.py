"""A real enricher before a real Kafka, a real Postgres, and the API of a CRM on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from services import demo
from services.simulator.dialects import DIALECTS
from services.simulator.model import DealChange
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS
from shared.flow.events import event_of
from shared.flow.visits import Event
from shared.flow.what_if import find
from shared.kafka.access import KafkaAccess
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.runtime.instants import micros
from tests.integration.intake.test_line_to_kafka import records
from tests.support.crms.base import FakeCrm
from tests.support.crms.world import sources_file
from tests.support.processes import CommandProcess, ServiceProcess
from tests.support.waiting import eventually
from tests.unit.connectors.test_round_trip import POLICY, source_of, told


def stays(events: list[Event]) -> set[tuple[Any, ...]]:
    """Every visit as of now, by the digits of the deal, to the second, as some CRMs send their times."""
    second = 1_000_000
    return {
        (deal[-11:], v.pipeline, v.stage, v.entered // second, v.left and v.left // second)
        for deal, v in find(events, POLICY, micros(datetime.now(UTC))).visits
    }


DEMO_POLICY = Path(demo.__file__).parent / "policy.yaml"


class EnricherRig:
    """What is around an enricher; `settings` are its own, quick for tests."""

    def __init__(self, kafka: str, dsn: str, prefix: str, folder: Path, crm: FakeCrm) -> None:
        self.kafka, self.dsn, self.prefix, self.folder, self.crm = kafka, dsn, prefix, folder, crm
        self.environment = {
            "ANDON_KAFKA": kafka,
            "ANDON_POSTGRES": dsn,
            "ANDON_TOPIC_PREFIX": prefix,
            "ANDON_POLICY": str(DEMO_POLICY),
            "ANDON_SOURCES": str(folder / "sources.yaml"),
            "ANDON_ENRICHER_PATIENCE_SECONDS": "0",
            "ANDON_ENRICHER_RECONCILE_SECONDS": "0",
            "ANDON_ENRICHER_GIVE_UP_SECONDS": "2",
        }
        self.credentials()

    def credentials(self, asked: bool = True, **api: Any) -> None:
        (self.folder / "sources.yaml").write_text(sources_file(self.crm, asked, **api))

    def replica(self, **settings: str) -> ServiceProcess:
        own = {f"ANDON_ENRICHER_{name.upper()}": value for name, value in settings.items()}
        return ServiceProcess("enricher", self.environment | own, self.folder).start().ready()

    def andon(self, *arguments: str) -> CommandProcess:
        """A command, as an operator runs it."""
        return CommandProcess(arguments, self.environment, self.folder)

    async def webhooks(self, happenings: Iterable[DealChange], leave_out: int = 0) -> None:
        """Publish what intake makes of a CRM's webhooks, without the first `leave_out` events."""
        dialect, source = DIALECTS[self.crm.kind](), source_of(DIALECTS[self.crm.kind])
        events = [e for one in happenings for webhook in dialect.webhooks(one) for e in told(source, webhook, one.time)]
        await self.publish(events[leave_out:])

    async def publish(self, events: Iterable[DealEvent]) -> None:
        publisher = Publisher(KafkaAccess(self.kafka))
        topic = self.prefix + EVENTS
        await publisher.publish_all([OutgoingMessage(topic, e.subject.encode(), e.to_json()) for e in events])
        await publisher.stop()

    async def events(self) -> list[DealEvent]:
        found = await records(self.kafka, self.prefix + EVENTS, 4)
        return [DealEvent.model_validate(json.loads(record.value)) for record in found]

    async def told(self) -> list[Event]:
        """As the detector gets them."""
        return [event_of(event) for event in await self.events()]

    async def rows(self, query: str) -> list[Any]:
        connection = await asyncpg.connect(self.dsn)
        try:
            return list(await connection.fetch(query))
        finally:
            await connection.close()

    def asked(self) -> list[str]:
        """The requests for deals, without those for stages."""
        return [one for one in self.crm.asked if not one.endswith("/pipelines/deals")]

    async def states(self, enough: Any) -> dict[str, str]:
        """The states of all deals, once they are so."""

        async def ask() -> dict[str, str]:
            return {row["deal"]: row["state"] for row in await self.rows("SELECT deal, state FROM crm.deal")}

        return await eventually(ask, enough)
