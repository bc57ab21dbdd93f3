"""Handles the messages that the analyst consumes: weekly points and relocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from aiokafka import ConsumerRecord

from services.analyst.store import pipelines, points, relocks
from shared.contracts.measures import MeasureData, MeasureEvent
from shared.contracts.relocks import RelockData, RelockEvent
from shared.contracts.topics import MEASURES, RELOCKS
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction

DECODERS: Mapping[str, Decoder[MeasureEvent | RelockEvent]] = {
    MEASURES: contract(MeasureEvent),
    RELOCKS: contract(RelockEvent),
}


class AnalystHandler:
    """A `Handler`: saves weekly points and relocks. `changed` is called after a commit that asks for an evaluation."""

    decoders = DECODERS

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def handle(self, transaction: Transaction, messages: list[Received[MeasureEvent | RelockEvent]]) -> None:
        """Save, and mark the pipelines in which something is new."""
        weekly = [data for data in _data(messages) if isinstance(data, MeasureData) and data.period == "week"]
        locks = [data for data in _data(messages) if isinstance(data, RelockData)]
        connection = transaction.connection
        changed = await points.save(connection, weekly)
        await pipelines.advance(connection, _revised(weekly, changed))
        await relocks.save(connection, locks)
        changed |= {data.chart.partition("/")[0] for data in locks}
        await pipelines.mark(connection, changed)
        if changed:
            transaction.after_commit(self._changed)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""


def _data(messages: Iterable[Received[MeasureEvent | RelockEvent]]) -> Iterable[MeasureData | RelockData]:
    return (received.message.data for received in messages)


def _revised(weekly: Iterable[MeasureData], changed: set[str]) -> dict[str, datetime]:
    """By pipeline, the end of its newest week that was computed after judgement time had passed it."""
    found: dict[str, datetime] = {}
    for data in weekly:
        if data.is_revised and data.pipeline in changed:
            found[data.pipeline] = max(data.end, found.get(data.pipeline, data.end))
    return found
