"""Faust, at least once: it commits offsets of acknowledged events, and the inbox drops what comes again.

As its documentation advises for throughput: `take` for batches, larger polls and buffers, uvloop. Run as
`python -m tests.bench.peers.faust_app KAFKA DSN TOPIC EXPECTED BATCH`.
"""

from __future__ import annotations

import sys
import tempfile
from uuid import uuid4

import faust

from tests.bench.moves.asyncpg_driver import carry_out, connect
from tests.bench.moves.job import Arguments, DealMove, Meter, apply, read


def app(arguments: Arguments, folder: str) -> faust.App:
    kafka, dsn, topic, expected, most = arguments
    made = faust.App(
        f"faust-{uuid4()}",
        broker=f"kafka://{kafka}",
        datadir=folder,
        consumer_auto_offset_reset="earliest",
        broker_max_poll_records=most,
        stream_buffer_maxsize=most,
        topic_allow_declare=False,
        topic_disable_leader=True,
    )
    meter = Meter(expected)

    async def moves(stream: faust.StreamT) -> None:
        connection = await connect(dsn)
        async for values in stream.take(most, within=1):
            meter.begin()
            batch: list[DealMove] = [read(value) for value in values]
            async with connection.transaction():
                await carry_out(connection, apply(batch))
            meter.committed(len(batch))

    made.agent(made.topic(topic, value_serializer="raw", key_serializer="raw"))(moves)
    return made


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        arguments = Arguments.read()
        sys.argv[1:] = ["--loop", "uvloop", "worker", "--without-web", "--loglevel", "error"]
        app(arguments, folder).main()
