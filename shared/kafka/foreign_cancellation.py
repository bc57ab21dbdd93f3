"""Tells a cancellation of a task from one that aiokafka lets out.

aiokafka cancels what waits for an answer on a connection that it closes, and lets that cancellation out to whoever
asked. A loop that took it for its own would end, and with it the service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaConnectionError


@contextmanager
def foreign_cancellation_as_error() -> Iterator[None]:
    """Raise KafkaConnectionError in place of a cancellation that nobody asked of this task."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise KafkaConnectionError("the connection was closed before the answer came") from error
