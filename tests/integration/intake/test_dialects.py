"""The simulated CRM posts in every dialect to a real intake: what arrives on Kafka is what happened."""

from __future__ import annotations

import json
from pathlib import Path

from services.simulator.dialects import DIALECTS
from services.simulator.post import post_all, poster
from shared.contracts.events import DealEvent
from shared.contracts.topics import EVENTS, RECEIVED
from shared.flow.events import event_of
from shared.flow.visits import Event
from tests.integration.intake.test_line_to_kafka import records
from tests.support.processes import ServiceProcess
from tests.unit.connectors.test_round_trip import found, history, plain

# Their events get their time from when they come (docs/sources), which a history that is posted now cannot show.
TOLD_AS_OF_NOW = {"espocrm", "attio"}
PUBLIC = "https://hooks.example.org/v1/ingest/crm"


async def test_every_dialect_over_http(kafka: str, prefix: str, tmp_path: Path) -> None:
    sources = {
        kind: {"kind": kind, "secrets": [dialect.secret], **dialect.settings} for kind, dialect in DIALECTS.items()
    }
    (tmp_path / "sources.yaml").write_text(json.dumps({"sources": sources}))
    environment = {
        "ANDON_KAFKA": kafka,
        "ANDON_SOURCES": str(tmp_path / "sources.yaml"),
        "ANDON_TOPIC_PREFIX": prefix,
    }
    intake = ServiceProcess("intake", environment, tmp_path).start().ready()
    some, posted = history()[:80], 0
    for kind, dialect in DIALECTS.items():
        async with poster(f"{intake.url}/v1/ingest/{kind}", dialect.secret, PUBLIC, kind) as to:
            documents = [document for one in some for document in to.dialect.documents(one)]
            posted += len(documents)
            await post_all(to, documents, lambda done: None)
    metrics = intake.get("/metrics")
    assert intake.stop() == 0

    events: dict[str, list[Event]] = {}
    for record in await records(kafka, prefix + EVENTS, 4):
        event = DealEvent.model_validate_json(record.value)
        events.setdefault(event.source, []).append(event_of(event))
    assert events.keys() == DIALECTS.keys()
    assert len(await records(kafka, prefix + RECEIVED, 4)) == posted
    assert 'result="dead",source="monday"} 0.0' in metrics
    expected = found(plain(some))
    for kind in DIALECTS.keys() - TOLD_AS_OF_NOW:
        assert found(events[kind]) == expected, kind
    assert len(expected[1]) > 40
