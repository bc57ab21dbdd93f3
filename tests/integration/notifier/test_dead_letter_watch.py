"""Dead letters are counted while they wait: until they are redriven or dismissed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from aiokafka import ConsumerRecord
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from services.cli.main import app
from services.notifier import dead_letter_watch
from services.notifier.dead_letter_watch import DeadLetterWatch
from shared.contracts.dead import DeadReason
from shared.contracts.handled import HandledData, Handling
from shared.kafka.access import KafkaAccess
from shared.kafka.admin import create_topics
from shared.kafka.publisher import Publisher
from shared.stream import dead_letters
from shared.stream.dead_letters import Unreadable
from shared.stream.handled_letters import WaitingLetters
from tests.support.problems import day
from tests.support.waiting import eventually

EVENTS, TICKETS = "pipeline.events", "improvement.tickets"


@pytest.fixture
def prefix(kafka: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of topics that are made by the test; commands use them."""
    name = f"{secrets.token_hex(4)}."
    monkeypatch.setenv("ANDON_KAFKA", kafka)
    monkeypatch.setenv("ANDON_TOPIC_PREFIX", name)
    monkeypatch.setattr(dead_letter_watch, "MEASURE_SECONDS", 0.1)
    return name


async def write(kafka: str, prefix: str, topic: str, offset: int, reason: DeadReason) -> None:
    record = ConsumerRecord(prefix + topic, 0, offset, 0, 0, b"k", b"{", 0, 1, 0, ())
    publisher = Publisher(KafkaAccess(kafka))
    await publisher.publish_all([dead_letters.of_record(record, topic, reason, "why", day(0))])
    await publisher.stop()


async def andon(*words: str) -> str:
    """What `andon dead-letters WORDS` prints; it succeeds."""
    result = await asyncio.to_thread(CliRunner().invoke, app, ["dead-letters", *words])
    assert result.exit_code == 0, result.output
    return str(result.output)


@asynccontextmanager
async def watching(kafka: str, prefix: str) -> AsyncIterator[CollectorRegistry]:
    registry = CollectorRegistry()
    running = asyncio.ensure_future(DeadLetterWatch(KafkaAccess(kafka), prefix, registry).run())
    try:
        yield registry
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_letter_counts_until_it_is_redriven_or_dismissed(kafka: str, prefix: str) -> None:
    await create_topics(KafkaAccess(kafka), prefix)
    async with watching(kafka, prefix) as registry:

        async def counts() -> tuple[float | None, ...]:
            labels = ((EVENTS, "not-json"), (EVENTS, "handler"), (TICKETS, "not-json"))
            return tuple(
                registry.get_sample_value("andon_dead_letters_waiting", {"topic": topic, "reason": reason})
                for topic, reason in labels
            )

        await eventually(counts, lambda found: found == (0, 0, 0))
        for offset in (1, 2):
            await write(kafka, prefix, EVENTS, offset, DeadReason.NOT_JSON)
        await write(kafka, prefix, EVENTS, 3, DeadReason.HANDLER)
        await write(kafka, prefix, TICKETS, 4, DeadReason.NOT_JSON)
        # Written again, as after a crash: one letter.
        await write(kafka, prefix, TICKETS, 4, DeadReason.NOT_JSON)
        await eventually(counts, lambda found: found == (2, 1, 1))

        assert "1 dead letter is dismissed" in await andon("dismiss", f"{EVENTS}/0/1")
        await eventually(counts, lambda found: found == (1, 1, 1))
        assert "1 dead letter is back on the topic" in await andon("redrive", f"{EVENTS}/0/3")
        await eventually(counts, lambda found: found == (1, 0, 1))
        waiting = await andon("list", "--waiting")
        assert f"{EVENTS}/0/2" in waiting
        assert f"{EVENTS}/0/1" not in waiting
        assert "(dismissed)" in await andon("list")

        # All that wait, and no dismissed or redriven one again.
        assert "1 dead letter is back on the topic" in await andon("redrive", "--topic", EVENTS)
        assert "0 dead letters are back" in await andon("redrive", "--topic", EVENTS)
        assert "1 dead letter is dismissed" in await andon("dismiss", "--all")
        await eventually(counts, lambda found: found == (0, 0, 0))

    # A new process counts the same.
    async with watching(kafka, prefix) as registry:
        await eventually(counts, lambda found: found == (0, 0, 0))


async def test_counting_begins_when_the_topics_are_made(
    kafka: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letter_watch, "RETRY_SECONDS", 0.1)
    async with watching(kafka, prefix) as registry:
        labels = {"topic": EVENTS, "reason": "handler"}
        await asyncio.sleep(0.5)
        assert registry.get_sample_value("andon_dead_letters_waiting", labels) is None
        await create_topics(KafkaAccess(kafka), prefix)
        await write(kafka, prefix, EVENTS, 1, DeadReason.HANDLER)

        async def count() -> float | None:
            return registry.get_sample_value("andon_dead_letters_waiting", labels)

        await eventually(count, lambda found: found == 1)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "name the dead letters to dismiss, or give --all"),
        (("x/0/0", "--all"), "name the dead letters to dismiss, or give --all"),
        (("x/0/0",), "there is no dead letter x/0/0; see andon dead-letters list"),
    ],
)
def test_what_cannot_be_dismissed_is_refused(words: tuple[str, ...], reason: str, kafka: str, prefix: str) -> None:
    asyncio.run(create_topics(KafkaAccess(kafka), prefix))
    result = CliRunner().invoke(app, ["dead-letters", "dismiss", *words])

    assert (result.exit_code, reason in " ".join(result.output.split())) == (1, True), result.output


def test_a_mark_is_of_the_letters_before_it() -> None:
    letters = WaitingLetters()
    letters.mark(HandledData(letter="a", handling=Handling.DISMISSED, at=day(1)))
    letters.add(f"{EVENTS}.dead", Unreadable("a", day(1), b"", "why"))
    assert not letters.counts()

    # The topic was made anew, and its offsets begin again.
    letters.add(f"{EVENTS}.dead", Unreadable("a", day(1) + timedelta(seconds=1), b"", "why"))
    assert letters.counts() == {(EVENTS, "unreadable"): 1}
