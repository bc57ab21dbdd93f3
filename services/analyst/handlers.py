"""Handles the messages that the analyst consumes: weekly points and relocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import ConsumerRecord

from services.analyst.store import charts, pipelines
from services.analyst.store.pipelines import PipelineState
from shared.contracts.measures import Column, MeasureData, MeasureEvent
from shared.contracts.relocks import RelockData, RelockEvent
from shared.contracts.topics import MEASURES, RELOCKS
from shared.flow.statistics.columns import Chart
from shared.stream import relocks, weekly_points
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
        """Save, and mark the charts in which something is new."""
        weekly = [data for data in _data(messages) if isinstance(data, MeasureData) and data.period == "week"]
        locks = [data for data in _data(messages) if isinstance(data, RelockData)]
        connection = transaction.connection
        changed = {charts.chart_of(row) for row in await weekly_points.save(connection, weekly)}
        await pipelines.save(connection, _states(weekly, changed))
        await relocks.save(connection, locks)
        await charts.mark(connection, changed)
        await charts.mark_relocks(connection, {data.chart for data in locks})
        await charts.mark_pipelines(connection, {data.pipeline for data in weekly if data.since is not None})
        if weekly or locks:
            transaction.after_commit(self._changed)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""


def _data(messages: Iterable[Received[MeasureEvent | RelockEvent]]) -> Iterable[MeasureData | RelockData]:
    return (received.message.data for received in messages)


def _states(weekly: Iterable[MeasureData], changed: set[Chart]) -> dict[str, PipelineState]:
    """The newest state of each pipeline. Points that change nothing only say how many weeks are over."""
    found: dict[str, PipelineState] = {}
    for data in weekly:
        before = found.get(data.pipeline, PipelineState(0, 0))
        is_new = Chart(data.pipeline, data.stage or "", Column(data.measure.value)) in changed
        numbering, over = max((data.numbering or 0, data.over or 0), before[:2])
        reached = [before.reached, data.end if data.is_revised and is_new else None]
        since = [before.since, data.since]
        found[data.pipeline] = PipelineState(
            numbering,
            over,
            max((at for at in reached if at is not None), default=None),
            min((at for at in since if at is not None), default=None),
        )
    return found
