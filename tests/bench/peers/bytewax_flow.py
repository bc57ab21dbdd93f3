"""Bytewax, at least once: it stores offsets with its recovery, and the inbox drops what comes again.

As its documentation advises for throughput: large batches from Kafka, steps that take a batch at a time, and a sink
that writes batches. Run as `python -m tests.bench.peers.bytewax_flow KAFKA DSN TOPIC EXPECTED BATCH`.
"""

from __future__ import annotations

import tempfile

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from tests.bench.moves.job import Arguments, DealMove, Meter, apply, read
from tests.bench.peers.psycopg_driver import carry_out, connect


class MovesPartition(StatelessSinkPartition[DealMove]):
    """Writes on a connection of its own."""

    def __init__(self, dsn: str, meter: Meter) -> None:
        self._connection, self._meter = connect(dsn), meter

    def write_batch(self, items: list[DealMove]) -> None:
        carry_out(self._connection, apply(items))
        self._meter.committed(len(items))


class MovesSink(DynamicSink[DealMove]):
    def __init__(self, dsn: str, meter: Meter) -> None:
        self._dsn, self._meter = dsn, meter

    def build(self, step_id: str, worker_index: int, worker_count: int) -> MovesPartition:
        return MovesPartition(self._dsn, self._meter)


def flow(arguments: Arguments) -> Dataflow:
    kafka, dsn, topic, expected, most = arguments
    made, meter = Dataflow("moves"), Meter(expected)

    def moves(messages: list[KafkaSourceMessage]) -> list[DealMove]:
        meter.begin()
        return [read(message.value) for message in messages]

    messages = op.input("events", made, KafkaSource([kafka], [topic], batch_size=most))
    op.output("write", op.flat_map_batch("read", messages, moves), MovesSink(dsn, meter))
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        init_db_dir(folder, 1)
        cli_main(flow(Arguments.read()), recovery_config=RecoveryConfig(folder))
