"""Asks Kafka whether it answers, over a short connection of its own.

aiokafka's clients would log every failed attempt, and go on trying in the background.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from shared.runtime.dependencies import reason_of


class KafkaUnreachable(ConnectionError):
    """No broker answers; the message gives the reason."""


async def ping(bootstrap: str, seconds: float = 2.0) -> None:
    """Return once a bootstrap server has answered; raises KafkaUnreachable."""
    connection = await _connect(bootstrap, seconds)
    connection.close()


async def topics_of(bootstrap: str, seconds: float = 2.0) -> set[str]:
    """The names of all topics, asked under the address that a broker advertises; raises KafkaUnreachable."""
    first = await _connect(bootstrap, seconds)
    try:
        brokers = (await first.send(MetadataRequest([]))).brokers
    finally:
        first.close()
    _, host, port, *_ = brokers[0]
    try:
        connection = await _open(host, port, seconds)
    except (OSError, KafkaError) as error:
        why = reason_of(error, seconds)
        raise KafkaUnreachable(
            f"it answers, but names {host}:{port} (advertised.listeners), and there: {why}"
        ) from None
    try:
        answer = await connection.send(MetadataRequest(None))
        return {str(topic) for _, topic, *_ in answer.topics}
    finally:
        connection.close()


async def _connect(bootstrap: str, seconds: float) -> Any:
    """A connection to the first bootstrap server that answers."""
    try:
        hosts = [(host, port) for host, port, _ in collect_hosts(bootstrap)]
    except ValueError:
        raise KafkaUnreachable(f"{bootstrap!r} is not host:port") from None
    attempts = [asyncio.ensure_future(_open(host, port, seconds)) for host, port in hosts]
    fault = "no server is named"
    try:
        for attempt in asyncio.as_completed(attempts):
            try:
                return await attempt
            except (OSError, KafkaError) as error:
                fault = reason_of(error, seconds)
    finally:
        for one in attempts:
            one.cancel()
    raise KafkaUnreachable(fault)


async def _open(host: str, port: int, seconds: float) -> Any:
    """Connect and exchange versions, which only Kafka does. Raises OSError or KafkaError."""
    async with asyncio.timeout(seconds):
        try:
            return await create_conn(host, port, client_id="andon-probe", request_timeout_ms=int(seconds * 1000))
        except (OSError, KafkaError, TimeoutError):
            raise
        except Exception as error:
            raise KafkaUnreachable(f"the server there is not Kafka ({error!r})") from error
