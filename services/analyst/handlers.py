"""Handles the messages that the analyst consumes: weekly points, relocks and receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from aiokafka import ConsumerRecord

from services.analyst.store import charts, pipelines, receipts
from services.analyst.store.pipelines import PipelineState
from shared.contracts.measures import MeasureData, MeasureEvent
from shared.contracts.receipts import HourReceipts, Judged, ReceiptsEvent
from shared.contracts.relocks import RelockData, RelockEvent
from shared.contracts.topics import MEASURES, RECEIPTS, RELOCKS
from shared.flow.statistics.columns import COLUMNS, Chart
from shared.stream import relocks, weekly_points
from shared.stream.processor import Decoder, Received, contract
from shared.stream.transaction import Transaction

ConsumedData = MeasureData | RelockData | HourReceipts | Judged
ConsumedMessage = MeasureEvent | RelockEvent | ReceiptsEvent
DECODERS: Mapping[str, Decoder[ConsumedMessage]] = {
    MEASURES: contract(MeasureEvent),
    RELOCKS: contract(RelockEvent),
    RECEIPTS: contract(ReceiptsEvent),
}


class AnalystHandler:
    """A `Handler`: saves what comes. `changed` is called after a commit that asks for an evaluation."""

    decoders = DECODERS

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    async def handle(self, transaction: Transaction, messages: list[Received[ConsumedMessage]]) -> None:
        """Save, and mark the charts and sources in which something is new."""
        weekly = [data for data in _data(messages) if isinstance(data, MeasureData) and data.period == "week"]
        locks = [data for data in _data(messages) if isinstance(data, RelockData)]
        judged = [data for data in _data(messages) if isinstance(data, Judged)]
        connection = transaction.connection
        changed = {charts.chart_of(row) for row in await weekly_points.save(connection, weekly)}
        await pipelines.save(connection, _states(weekly, changed))
        await relocks.save(connection, locks)
        await charts.mark(connection, changed)
        await charts.mark_relocks(connection, {data.chart for data in locks})
        await charts.mark_pipelines(connection, {data.pipeline for data in weekly if data.since is not None})
        await receipts.save(connection, [data for data in _data(messages) if isinstance(data, HourReceipts)])
        for one in judged:
            await receipts.save_judged(connection, one)
        if weekly or locks or judged:
            transaction.after_commit(self._changed)

    async def finish(self, transaction: Transaction, records: Sequence[ConsumerRecord]) -> None:
        """Nothing is left to do at the end of a batch."""


def _data(messages: Iterable[Received[ConsumedMessage]]) -> Iterable[ConsumedData]:
    return (received.message.data for received in messages)


def _states(weekly: Iterable[MeasureData], changed: set[Chart]) -> dict[str, PipelineState]:
    """The newest state of each pipeline. Points that change nothing only say how many weeks are over."""
    found: dict[str, PipelineState] = {}
    # Of the points of a week nearly all say the same.
    for pipeline, said in {(data.pipeline, _state(data, changed)) for data in weekly}:
        before = found.get(pipeline, PipelineState(0, 0))
        reached, since = [before.reached, said.reached], [before.since, said.since]
        found[pipeline] = PipelineState(
            *max(said[:2], before[:2]),
            max((at for at in reached if at is not None), default=None),
            min((at for at in since if at is not None), default=None),
        )
    return found


def _state(data: MeasureData, changed: set[Chart]) -> PipelineState:
    """What one point says."""
    is_news = data.is_revised and Chart(data.pipeline, data.stage or "", COLUMNS[data.measure.value]) in changed
    return PipelineState(data.numbering or 0, data.over or 0, data.end if is_news else None, data.since)
