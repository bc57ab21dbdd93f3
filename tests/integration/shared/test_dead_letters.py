"""Dead letters are listed and shown whatever is in them."""

from __future__ import annotations

import asyncio
import base64
import secrets

import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from services.cli.main import app
from shared.bus import dead_letters
from shared.bus.admin import create_topics
from shared.bus.publisher import OutgoingMessage, Publisher
from shared.contracts.dead import DeadData, DeadEvent, DeadReason
from tests.support.problems import day

HOSTILE = "[/red] [link=javascript:alert(1)]x[/link] \x1b]0;owned\x07 \x1b[2J"


async def publish(kafka: str, prefix: str) -> None:
    await create_topics(kafka, prefix)
    data = DeadData(
        topic="pipeline.events", reason=DeadReason.BAD_SHAPE, detail=f"stage: found {HOSTILE}",
        place="pipeline.events/0/1", key=HOSTILE, headers={HOSTILE: HOSTILE},
        body=base64.b64encode(HOSTILE.encode()).decode(),
        first_attempt_at=day(0), last_attempt_at=day(0),
    )  # fmt: skip
    letter = DeadEvent(id="pipeline.events/0/1", source="andon/dead-letters", subject="x", time=day(0), data=data)
    publisher = Publisher(kafka)
    await publisher.publish_all([OutgoingMessage(prefix + "pipeline.events.dead", b"k", letter.to_json())])
    await publisher.stop()


async def test_the_largest_record_that_a_topic_takes_has_room_in_its_dead_letters(kafka: str, prefix: str) -> None:
    publisher, topic = Publisher(kafka), "flow.problems"
    huge = OutgoingMessage(prefix + topic, b"k", secrets.token_bytes(2_090_000))
    await publisher.publish_all([huge])
    record = ConsumerRecord(prefix + topic, 0, 0, 0, 0, b"k", huge.value, 0, len(huge.value), 0, ())

    await publisher.publish_all([dead_letters.of_record(record, topic, DeadReason.NOT_JSON, "why", day(0))])
    with pytest.raises(TimeoutError):
        await publisher.publish_all([huge._replace(value=secrets.token_bytes(2_200_000))])

    (letter,) = await dead_letters.read_all(kafka, prefix, topic)
    assert base64.b64decode(letter.data.body) == huge.value
    await publisher.stop()


def test_what_is_in_them_neither_breaks_the_list_nor_reaches_the_terminal(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"{secrets.token_hex(4)}."
    asyncio.run(publish(kafka, prefix))
    monkeypatch.setenv("ANDON_KAFKA", kafka)
    monkeypatch.setenv("ANDON_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("COLUMNS", "300")

    listed = CliRunner().invoke(app, ["dead-letters", "list"])
    shown = CliRunner().invoke(app, ["dead-letters", "show", "pipeline.events/0/1"])

    for result in (listed, shown):
        assert result.exit_code == 0, result.output
        assert "[/red]" in result.output
        assert "\x1b" not in result.output
        assert "\\x1b]0;owned" in result.output
