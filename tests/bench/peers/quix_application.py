"""Quix Streams, at least once: it commits offsets after its sink has written, and the inbox drops what comes again.

As its documentation advises for throughput: a sink of batches, and commits by number of messages. Run as
`python -m tests.bench.peers.quix_application KAFKA DSN TOPIC EXPECTED BATCH`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from tests.bench.moves.job import Arguments, DealMove, Meter, apply, of_event
from tests.bench.peers.psycopg_driver import carry_out, connect


class MovesBatchSink(BatchingSink):
    """Writes what is read of a partition between two commits."""

    def __init__(self, dsn: str, meter: Meter) -> None:
        super().__init__()
        self._connection, self._meter = connect(dsn), meter

    def write(self, batch: SinkBatch) -> None:
        carry_out(self._connection, apply([item.value for item in batch]))
        self._meter.committed(batch.size)


def main(arguments: Arguments) -> None:
    kafka, dsn, topic, expected, most = arguments
    application = Application(
        broker_address=kafka,
        consumer_group=f"quix-{uuid4()}",
        auto_offset_reset="earliest",
        commit_every=most,
        loglevel="ERROR",
        auto_create_topics=False,
    )
    meter = Meter(expected)

    def move(event: dict[str, Any]) -> DealMove:
        meter.begin()
        return of_event(event)

    frame = application.dataframe(application.topic(topic, value_deserializer="json"))
    frame.apply(move).sink(MovesBatchSink(dsn, meter))
    application.run()


if __name__ == "__main__":
    main(Arguments.read())
