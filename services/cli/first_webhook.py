"""Waits for the first authentic request of a source, and explains it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer
from rich.console import Console

from services.cli.console import message, print_plain
from services.intake.explain import explain_facts
from services.intake.received import read_requests
from shared.connectors.base.source import Source
from shared.contracts.topics import RECEIVED
from shared.kafka.access import KafkaAccess


def show(kafka: KafkaAccess, prefix: str, source: Source) -> None:
    """Print what the next webhook means; Ctrl-C ends the wait."""
    console = Console()

    async def run() -> None:
        async for line in wait(kafka, prefix, source):
            print_plain(console, line)

    with console.status("waiting for the first webhook (Ctrl-C to stop; rejected ones are in intake's log)"):
        try:
            asyncio.run(run())
        except KeyboardInterrupt:
            message(f"Stopped waiting. {source.name} is added, and works without this.")


async def wait(kafka: KafkaAccess, prefix: str, source: Source) -> AsyncIterator[str]:
    """The explanation of the next request of `source` that intake accepts, line by line."""
    consumer = AIOKafkaConsumer(prefix + RECEIVED, **kafka.client_options(), auto_offset_reset="latest")
    await consumer.start()
    try:
        async for record in consumer:
            if record.key != source.name.encode():
                continue
            for request in read_requests([record]):
                for line in explain_facts(source, request):
                    yield line
                return
    finally:
        await consumer.stop()
