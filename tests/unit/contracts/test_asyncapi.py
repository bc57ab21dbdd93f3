"""AsyncAPI of the topics says what the code does, and is valid by the AsyncAPI project's own parser."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from services.cli import asyncapi
from services.intake.received import request_records
from shared.contracts.messages import MESSAGES
from shared.contracts.rights import COMMANDS, RIGHTS
from shared.contracts.topics import ALL_TOPICS, RECEIVED
from tests.support import contract_tools
from tests.support.problems import event, problem
from tests.support.webhooks import request, source

DOCUMENT = asyncapi.document("0.1.0")
COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "schemas" / "asyncapi.json"
parsed = pytest.mark.skipif(not contract_tools.has_node_tools(), reason=contract_tools.NO_NODE)


def channel(topic: str) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["channels"][topic]
    return found


def who(action: str, topic: str) -> set[str]:
    """The services that send to a topic, or receive from it."""
    return {
        one["tags"][0]["name"]
        for one in DOCUMENT["operations"].values()
        if one["action"] == action and one["channel"]["$ref"] == f"#/channels/{topic}"
    }


def test_every_topic_has_its_key_its_settings_and_one_message() -> None:
    assert list(DOCUMENT["channels"]) == [topic.name for topic in ALL_TOPICS]
    for topic in ALL_TOPICS:
        (message,) = channel(topic.name)["messages"].values()
        kafka = channel(topic.name)["bindings"]["kafka"]
        assert message["bindings"]["kafka"]["key"]["description"] == topic.key
        assert kafka["partitions"] == topic.partitions
        assert {name: str(value).strip("[]'") for name, value in kafka["topicConfiguration"].items()} == topic.config


def test_every_message_that_a_schema_is_published_of_is_on_a_topic() -> None:
    used = {next(iter(one["messages"])) for one in DOCUMENT["channels"].values()}

    assert used == {"WebhookRequest", *(model.__name__ for model in MESSAGES.values())}
    assert used - {"WebhookRequest"} <= DOCUMENT["components"]["schemas"].keys()


@pytest.mark.parametrize("topic", [topic.name for topic in ALL_TOPICS])
def test_who_writes_and_reads_a_topic_is_who_has_the_rights(topic: str) -> None:
    rights = {**RIGHTS, "commands": COMMANDS}

    assert who("send", topic) == {name for name, one in rights.items() if topic in one.writes}
    assert who("receive", topic) == {name for name, one in rights.items() if topic in one.readable}


def test_how_long_records_are_kept_is_said_in_words() -> None:
    assert channel("webhooks.received")["description"] == "Record key: source. Kept for 14 days."
    assert "Kept forever" in channel("pipeline.events")["description"]
    assert "Compacted" in channel("flow.now")["description"]
    assert channel("flow.now.dead")["description"].startswith("Records of `flow.now` that could not be handled.")


def test_messages_and_headers_are_as_described() -> None:
    written = json.loads(event(problem()).to_json())
    (record,) = request_records(source("hubspot"), request(b"[]", {}), "")
    headers = {name: (value or b"").decode() for name, value in record.headers}

    jsonschema.validate(written, DOCUMENT | {"$ref": "#/components/schemas/ProblemEvent"})
    jsonschema.validate(headers, channel(RECEIVED)["messages"]["WebhookRequest"]["headers"])
    assert datetime.fromisoformat(headers["ce_time"]).tzinfo == UTC


@parsed
def test_the_parser_finds_no_fault() -> None:
    assert [fault for fault in contract_tools.asyncapi_faults(COMMITTED) if fault[0] <= contract_tools.WARNING] == []


@parsed
@pytest.mark.slow
def test_the_parser_finds_a_fault_where_there_is_one(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(COMMITTED.read_text().replace("#/channels/flow.now", "#/channels/flow.then"))

    assert any(severity == contract_tools.ERROR for severity, _, _ in contract_tools.asyncapi_faults(wrong))
