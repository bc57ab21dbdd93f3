"""The contract of the Processor, run over every kind of transactions: in memory, and on Postgres."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import asyncpg
import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError
from pydantic import BaseModel

from shared.contracts.dead import DeadEvent, DeadReason
from shared.kafka.publisher import OutgoingMessage
from shared.postgres.pool import TRANSIENT
from shared.stream.positions import PositionsSetBack
from shared.stream.processor import Handler, InvalidRecord, NotARecordsFault, Processor, Received
from shared.stream.transaction import Transaction, Transactions

TOPIC, PREFIX = "things", "test."
NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Thing(BaseModel):
    """`fails`: what handling it raises."""

    name: str
    fails: str = ""


FAILURES: dict[str, Exception] = {
    "constraint": asyncpg.CheckViolationError("check"),
    "bug": KeyError("bug"),
    "value": asyncpg.DataError("too long"),
    "transient": asyncpg.DeadlockDetectedError("deadlock"),
    "no database": ConnectionRefusedError(),
    "restart": asyncpg.InternalClientError("got result for unknown protocol state 3"),
    "database full": asyncpg.DiskFullError("could not extend file"),
    "standby": asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
    "frozen": asyncpg.IdleInTransactionSessionTimeoutError("terminating connection"),
    "no broker": KafkaConnectionError(),
    "disk full": OSError(errno.ENOSPC, "No space left on device"),
    "no font": FileNotFoundError("font"),
    "no table": asyncpg.UndefinedTableError("relation does not exist"),
    "not a record's": NotARecordsFault(),
}


class ProcessorRig(ABC):
    """Where effects are kept."""

    transactions: Transactions

    @abstractmethod
    async def apply(self, transaction: Transaction, name: str) -> None: ...

    @abstractmethod
    async def effects(self) -> list[str]: ...

    @abstractmethod
    async def outbox(self) -> list[tuple[str, bytes]]: ...

    @abstractmethod
    async def next_offset(self) -> int: ...

    async def letters(self) -> list[tuple[str, str]]:
        """Reason and place of each dead letter."""
        found = [
            DeadEvent.model_validate_json(value) for topic, value in await self.outbox() if topic.endswith(".dead")
        ]
        return [(letter.data.reason.value, letter.data.place) for letter in found]


class Keeper(Handler[Thing]):
    """Stores names; fails on a thing that says so."""

    def __init__(self, world: ProcessorRig) -> None:
        self._world = world
        self.committed: list[str] = []
        self.finished: list[int] = []

    @property
    def decoders(self) -> dict[str, object]:  # type: ignore[override]
        return {TOPIC: self._decode}

    def _decode(self, record: ConsumerRecord) -> Thing | None:
        if record.value is None:
            return None
        thing = Thing.model_validate_json(record.value)
        if thing.name == "future":
            raise InvalidRecord(DeadReason.IN_THE_FUTURE, "time lies in the future")
        return thing

    async def handle(self, transaction: Transaction, messages: list[Received[Thing]]) -> None:
        while messages:
            thing = messages.pop(0).message
            await self._world.apply(transaction, thing.name)
            transaction.after_commit(lambda name=thing.name: self.committed.append(name))  # type: ignore[misc]
            if thing.fails:
                raise FAILURES[thing.fails]

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        self.finished.append(len(records))


class ProcessorSuite:
    """Inherit, and give a `world`."""

    @pytest.fixture
    def handler(self, world: ProcessorRig) -> Keeper:
        return Keeper(world)

    @pytest.fixture
    def counts(self) -> Counter[str]:
        return Counter()

    @pytest.fixture
    def processor(self, world: ProcessorRig, handler: Keeper, counts: Counter[str]) -> Processor[Thing]:
        def rejected(reason: DeadReason) -> None:
            counts[reason.value] += 1

        def published() -> None:
            counts["published"] += 1

        return Processor(world.transactions, handler, PREFIX, lambda record: NOW, rejected, published)

    async def test_each_record_is_handled_once(self, world: ProcessorRig, processor: Processor[Thing]) -> None:
        await processor.run(records("a", "b"))
        await processor.run(records("a", "b", "c"))

        assert await world.effects() == ["a", "b", "c"]
        assert await world.next_offset() == 3

    async def test_a_position_that_was_set_back_is_jumped_by_no_batch(
        self, world: ProcessorRig, processor: Processor[Thing], handler: Keeper
    ) -> None:
        await processor.run(records("a", "b"))
        later = records("a", "b", "c", "d", "e")[4:]

        with pytest.raises(PositionsSetBack):
            await processor.run(later, {TopicPartition(PREFIX + TOPIC, 0): 4})

        assert (await world.effects(), await world.next_offset()) == (["a", "b"], 2)
        assert handler.finished == [2]

    async def test_a_gap_of_the_log_is_passed_where_the_position_stands_as_known(
        self, world: ProcessorRig, processor: Processor[Thing]
    ) -> None:
        await processor.run(records("a", "b"))

        await processor.run(records("a", "b", "c", "d", "e")[4:], {TopicPartition(PREFIX + TOPIC, 0): 2})

        assert (await world.effects(), await world.next_offset()) == (["a", "b", "e"], 5)

    async def test_nothing_is_published_without_a_reason(
        self, processor: Processor[Thing], counts: Counter[str]
    ) -> None:
        await processor.run(records("a"))

        assert not counts

    async def test_invalid_records_become_dead_letters_and_cost_the_others_nothing(
        self, world: ProcessorRig, processor: Processor[Thing], counts: Counter[str]
    ) -> None:
        await processor.run(records("a", b"{", b"[]", "future", None, "b"))

        assert await world.effects() == ["a", "b"]
        reasons = [DeadReason.NOT_JSON, DeadReason.BAD_SHAPE, DeadReason.IN_THE_FUTURE]
        assert await world.letters() == [(r.value, f"{TOPIC}/0/{n}") for n, r in enumerate(reasons, 1)]
        assert counts == {r.value: 1 for r in reasons} | {"published": 1}
        assert await world.next_offset() == 6

    @pytest.mark.parametrize("failure", ["constraint", "bug", "value"])
    async def test_a_record_that_fails_costs_only_itself(
        self, world: ProcessorRig, processor: Processor[Thing], handler: Keeper, failure: str
    ) -> None:
        things: list[bytes | str] = [*"abcdefg"]
        things[4] = thing("bad", failure)

        await processor.run(records(*things))

        assert await world.effects() == [*"abcdfg"]
        assert handler.committed == [*"abcdfg"]
        assert await world.letters() == [("handler", f"{TOPIC}/0/4")]
        assert handler.finished == [7]

    async def test_any_number_of_bad_records_is_dead_lettered(
        self, world: ProcessorRig, processor: Processor[Thing]
    ) -> None:
        await processor.run(records(*[thing("bad", "bug")] * 15, "a", *[thing("bad", "bug")] * 15))

        assert await world.effects() == ["a"]
        assert len(await world.letters()) == 30

    async def test_a_value_that_no_column_takes_is_a_records_fault_however_often(
        self, world: ProcessorRig, processor: Processor[Thing]
    ) -> None:
        await processor.run(records(*[thing("bad", "value")] * 30))

        assert len(await world.letters()) == 30

    @pytest.mark.parametrize("failure", ["constraint", "bug"])
    async def test_what_fails_for_all_alike_is_a_defect_and_dead_letters_nothing(
        self, world: ProcessorRig, processor: Processor[Thing], handler: Keeper, failure: str
    ) -> None:
        with pytest.raises(type(FAILURES[failure])):
            await processor.run(records(*[thing("bad", failure)] * 11))

        assert (await world.effects(), await world.outbox(), await world.next_offset()) == ([], [], 0)
        assert handler.committed == []

    @pytest.mark.parametrize(
        "failure",
        [
            "transient",
            "no database",
            "restart",
            "database full",
            "standby",
            "frozen",
            "no broker",
            "disk full",
            "no font",
            "no table",
            "not a record's",
        ],
    )
    async def test_what_no_record_causes_is_raised_and_dead_letters_nothing(
        self, world: ProcessorRig, processor: Processor[Thing], handler: Keeper, failure: str
    ) -> None:
        with pytest.raises(type(FAILURES[failure])):
            await processor.run(records("a", thing("b", failure), "c"))

        assert (await world.effects(), await world.outbox(), await world.next_offset()) == ([], [], 0)
        assert handler.committed == []

    @pytest.mark.parametrize("failure", ["transient", "no database", "restart", "database full", "standby", "frozen"])
    def test_what_waiting_resolves_is_tried_again_and_ends_no_service(self, failure: str) -> None:
        assert isinstance(FAILURES[failure], TRANSIENT)

    async def test_what_a_handler_publishes_is_committed_with_its_effects(
        self, world: ProcessorRig, processor: Processor[Thing], handler: Keeper, counts: Counter[str]
    ) -> None:
        apply = world.apply

        async def publish(transaction: Transaction, name: str) -> None:
            await apply(transaction, name)
            await transaction.publish([OutgoingMessage("out", b"key", name.encode())])

        world.apply = publish  # type: ignore[method-assign]
        await processor.run(records("a", thing("b", "bug"), "c"))

        assert [value for topic, value in await world.outbox() if topic == "out"] == [b"a", b"c"]
        assert counts == {"handler": 1, "published": 1}


def thing(name: str, fails: str = "") -> bytes:
    return Thing(name=name, fails=fails).model_dump_json().encode()


def records(*things: bytes | str | None) -> list[ConsumerRecord]:
    """Records of one partition: of names, or of raw values."""
    values = [thing(one) if isinstance(one, str) else one for one in things]
    return [ConsumerRecord(PREFIX + TOPIC, 0, n, 0, 0, None, v, None, 0, 0, ()) for n, v in enumerate(values)]
