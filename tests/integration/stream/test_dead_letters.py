"""Dead letters with any content are listed and shown."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from typer.testing import CliRunner, Result

from services.cli.main import app
from shared.contracts.dead import DeadData, DeadEvent, DeadReason
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.kafka.publisher import OutgoingMessage, Publisher
from shared.stream import dead_letters
from tests.support.problems import day

HOSTILE = "[/red] [link=javascript:alert(1)]x[/link] \x1b]0;owned\x07 \x1b[2J"


async def publish(kafka: str, prefix: str) -> None:
    await create_topics(KafkaAccess(kafka), prefix)
    data = DeadData(
        topic="pipeline.events",
        reason=DeadReason.BAD_SHAPE,
        detail=f"stage: found {HOSTILE}",
        place="pipeline.events/0/1",
        key=HOSTILE,
        headers={HOSTILE: HOSTILE},
        body=base64.b64encode(HOSTILE.encode()).decode(),
        first_attempt_at=day(0),
        last_attempt_at=day(0),
    )
    letter = DeadEvent(id="pipeline.events/0/1", source="andon/dead-letters", subject="x", time=day(0), data=data)
    publisher = Publisher(KafkaAccess(kafka))
    for value in (b"\xff{", letter.to_json()):
        await publisher.publish_all([OutgoingMessage(prefix + "pipeline.events.dead", b"k", value)])
    await publisher.stop()


async def letters(kafka: str, prefix: str, topic: str) -> list[Any]:
    return [letter async for letter in dead_letters.read(KafkaAccess(kafka), prefix, topic)]


async def records(kafka: str, topic: str, count: int = 4) -> list[Any]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    found: list[Any] = []
    while len(found) < count:
        for some in (await consumer.getmany(timeout_ms=500)).values():
            found += some
    await consumer.stop()
    return found


async def test_what_is_driven_again_is_as_it_was_and_keeps_its_first_attempt(kafka: str, prefix: str) -> None:
    publisher, topic = Publisher(KafkaAccess(kafka)), "flow.problems"
    keys = [b"k", b"\xff\x00", b"", None]
    for number, key in enumerate(keys):
        record = ConsumerRecord(prefix + topic, 0, number, 0, 0, key, b"{", 0, 1, 0, (("trace", b"1"),))
        await publisher.publish_all([dead_letters.of_record(record, topic, DeadReason.NOT_JSON, "why", day(0))])

    assert await dead_letters.redrive(publisher, dead_letters.read(KafkaAccess(kafka), prefix, topic), prefix) == 4
    again = await records(kafka, prefix + topic)

    assert {record.key for record in again} == set(keys)
    assert {record.value for record in again} == {b"{"}
    assert all(dict(record.headers)["trace"] == b"1" for record in again)
    for record in again:
        await publisher.publish_all([dead_letters.of_record(record, topic, DeadReason.NOT_JSON, "why", day(2))])
    told = [letter.data for letter in (await letters(kafka, prefix, topic))[4:]]
    assert {(data.first_attempt_at, data.last_attempt_at) for data in told} == {(day(0), day(2))}
    await publisher.stop()


async def test_headers_of_any_kind_are_kept(kafka: str, prefix: str) -> None:
    publisher, topic = Publisher(KafkaAccess(kafka)), "flow.problems"
    headers = [("none", None), ("broken", b"\xff"), ("empty", b""), (dead_letters.FIRST_ATTEMPT, None)]
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    for _ in range(4):
        await producer.send_and_wait(prefix + topic, b"{", headers=headers)
    await producer.stop()

    for record in await records(kafka, prefix + topic):
        await publisher.publish_all([dead_letters.of_record(record, topic, DeadReason.NOT_JSON, "why", day(0))])

    for letter in await letters(kafka, prefix, topic):
        assert letter.data.headers | {dead_letters.FIRST_ATTEMPT: None} == letter.data.headers
        assert letter.data.headers | {"none": None, "broken": "\\xff", "empty": ""} == letter.data.headers
    assert await dead_letters.redrive(publisher, dead_letters.read(KafkaAccess(kafka), prefix, topic), prefix) == 4
    again = [r for r in await records(kafka, prefix + topic, 8) if dict(r.headers)[dead_letters.FIRST_ATTEMPT]]
    assert [dict(record.headers)["none"] for record in again] == [None] * 4
    await publisher.stop()


@pytest.mark.parametrize("part", ["key", "header", "headers", "body"])
async def test_a_record_too_large_for_its_dead_letters_is_cut_and_says_so(part: str, kafka: str, prefix: str) -> None:
    publisher, topic = Publisher(KafkaAccess(kafka)), "flow.problems"
    # What a topic takes compressed may be any size; no byte grows more in JSON than this one.
    much = b"\x01" * 30_000_000
    key, body = (much if part == "key" else b"k"), (much if part == "body" else b"{")
    headers = {"header": [("h", much)], "headers": [(f"h{n}", much[:1000]) for n in range(5000)]}.get(part, [])
    record = ConsumerRecord(prefix + topic, 0, 7, 0, 0, key, body, 0, 0, 0, tuple(headers))

    await publisher.publish_all([dead_letters.of_record(record, topic, DeadReason.BAD_SHAPE, "w" * 3000, day(0))])

    (letter,) = await letters(kafka, prefix, topic)
    assert not letter.data.whole
    assert letter.data.detail.startswith("w" * 1000)
    assert f"{part.removesuffix('s')}" in letter.data.detail[1000:]
    assert "the first" in letter.data.detail
    with pytest.raises(dead_letters.NotRedrivableError, match="cut"):
        await dead_letters.redrive(publisher, dead_letters.read(KafkaAccess(kafka), prefix, topic), prefix)
    await publisher.stop()


async def test_the_largest_record_that_a_topic_takes_has_room_in_its_dead_letters(kafka: str, prefix: str) -> None:
    publisher, topic = Publisher(KafkaAccess(kafka)), "flow.problems"
    huge = OutgoingMessage(prefix + topic, b"k", secrets.token_bytes(2_090_000))
    await publisher.publish_all([huge])
    record = ConsumerRecord(prefix + topic, 0, 0, 0, 0, b"k", huge.value, 0, len(huge.value), 0, ())

    await publisher.publish_all([dead_letters.of_record(record, topic, DeadReason.NOT_JSON, "why", day(0))])
    with pytest.raises(TimeoutError):
        await publisher.publish_all([huge._replace(value=secrets.token_bytes(2_200_000))])

    (letter,) = await letters(kafka, prefix, topic)
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

    unreadable = CliRunner().invoke(app, ["dead-letters", "show", "pipeline.events.dead/0/0"])
    driven = CliRunner().invoke(app, ["dead-letters", "redrive", "pipeline.events.dead/0/0"])

    assert "pipeline.events.dead/0/0" in listed.output
    assert "unreadable" in listed.output
    assert "\\xff{" in unreadable.output
    assert (driven.exit_code, "cannot be read" in driven.output) == (1, True)
    for result in (listed, shown):
        assert result.exit_code == 0, result.output
        assert "[/red]" in result.output
        assert "\x1b" not in result.output
        assert "\\x1b]0;owned" in result.output


@pytest.fixture
def andon(kafka: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs `andon dead-letters WORDS` over topics of its own, which hold the letters of `publish`."""
    prefix = f"{secrets.token_hex(4)}."
    asyncio.run(publish(kafka, prefix))
    monkeypatch.setenv("ANDON_KAFKA", kafka)
    monkeypatch.setenv("ANDON_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("COLUMNS", "20")
    return lambda *words: CliRunner().invoke(app, ["dead-letters", *words])


def test_the_list_is_whole_in_text_and_json(andon: Callable[..., Result]) -> None:
    text, document = andon("list"), json.loads(andon("list", "--format", "json").stdout)
    shown = json.loads(andon("show", "pipeline.events/0/1", "--format", "json").stdout)

    assert len(text.stdout.splitlines()) == 2, text.stdout
    assert [(one["id"], one["redrivable"]) for one in document] == [
        ("pipeline.events.dead/0/0", False),
        ("pipeline.events/0/1", True),
    ]
    assert document[1]["detail"] == f"stage: found {HOSTILE}"
    assert (shown["body"], shown["headers"]) == (HOSTILE, {HOSTILE: HOSTILE})


def test_an_empty_list_says_so(andon: Callable[..., Result]) -> None:
    text, document = (
        andon("list", "--topic", "flow.problems"),
        andon("list", "--topic", "flow.problems", "--format=json"),
    )

    assert (text.exit_code, text.stdout) == (0, "")
    assert "There are no dead letters of flow.problems." in text.stderr
    assert json.loads(document.stdout) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("list", "--topic", "flow.problem"), "--topic flow.problem: has no dead letters; use one of pipeline.events"),
        (("redrive", "--topic", "flow.problem"), "--topic flow.problem: has no dead letters"),
        (("show", "x/0/0"), "there is no dead letter x/0/0"),
        (("redrive", "pipeline.events/0/1", "x/0/0"), "there is no dead letter x/0/0; see andon dead-letters list"),
        (("redrive", "pipeline.events/0/1", "pipeline.events.dead/0/0"), "cannot be read"),
    ],
)
def test_what_does_not_exist_is_refused(words: tuple[str, ...], reason: str, andon: Callable[..., Result]) -> None:
    result = andon(*words)

    assert (result.exit_code, reason in result.stderr) == (1, True), result.output
    assert "back on the topic" not in result.stderr


def test_all_that_can_be_is_redriven_and_the_rest_is_named(andon: Callable[..., Result]) -> None:
    result = andon("redrive")

    assert result.exit_code == 0
    assert "left: pipeline.events.dead/0/0: cannot be read" in result.stderr
    assert "1 dead letter is back on the topic" in result.stderr


def test_topics_that_are_missing_are_named(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDON_KAFKA", kafka)
    monkeypatch.setenv("ANDON_TOPIC_PREFIX", "nobody.")
    result = CliRunner().invoke(app, ["dead-letters", "list", "--topic", "pipeline.events"])

    assert result.exit_code == 1
    assert "has no topic nobody.pipeline.events.dead; create what is missing with: andon topics create" in result.stderr
