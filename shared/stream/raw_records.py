"""Records through FastStream as they are: its own parser and decoder are switched off.

One record that they cannot read would cost the whole batch.
"""

from __future__ import annotations

from typing import Any

from aiokafka import ConsumerRecord
from faststream.kafka import KafkaMessage


async def parse(records: Any, original: Any) -> KafkaMessage:
    """A message around the raw records. FastStream sees the first alone, without headers that may not be UTF-8."""
    message: KafkaMessage = await original((_Headless(records[0]),))
    message.raw_message = records
    return message


class _Headless:
    """A record as FastStream's parser sees it."""

    headers: tuple[()] = ()

    def __init__(self, record: ConsumerRecord) -> None:
        self.value, self.topic, self.offset, self.timestamp = (
            record.value,
            record.topic,
            record.offset,
            record.timestamp,
        )


async def undecoded(message: Any) -> None:
    """Decoding is the handler's: record by record, so that one bad record costs only itself."""
    return
