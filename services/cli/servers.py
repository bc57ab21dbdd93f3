"""Checks, before a command starts its work, that Kafka and Postgres can be used: within 5 s, and all faults at once.

The clients that the commands use wait for an unavailable server, some of them forever, as services must.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future
from typing import TypeVar

import asyncpg
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)

from shared.kafka import probe
from shared.kafka.access import KafkaAccess
from shared.kafka.probe import KafkaRefused, KafkaUnreachable
from shared.runtime.dependencies import reason_of
from shared.runtime.settings import ServiceSettings

Answered = TypeVar("Answered")
# The rest of the 5 s is for starting Python.
WITHIN_SECONDS = 3.5
_FORBIDDEN = {
    TopicAuthorizationFailedError: "use a topic",
    GroupAuthorizationFailedError: "use a consumer group",
    ClusterAuthorizationFailedError: "change the cluster",
}
_MISSING = """
SELECT name FROM unnest($1::text[]) AS name WHERE to_regclass(quote_ident(name) || '.schema_migrations') IS NULL
"""


class ServersUnusable(Exception):
    """What is missing, one fault per line, each with the setting to change or the command to run."""


def check_servers(topics: Collection[str] | None = None, schemas: Collection[str] | None = None) -> None:
    """Raises ServersUnusable. `topics`: what must be on Kafka; `schemas`: what must be in Postgres; None: not needed.

    An empty collection asks only whether the server answers.
    """
    settings = ServiceSettings.from_environment()
    asked: list[Future[list[str]]] = []
    if topics is not None:
        asked.append(ask(lambda: _kafka_faults(settings, topics)))
    if schemas is not None:
        asked.append(ask(lambda: _postgres_faults(settings, schemas)))
    faults = [line for future in asked for line in future.result()]
    if faults:
        raise ServersUnusable("\n".join(faults))


def kafka_fault(settings: ServiceSettings, error: Exception) -> str:
    """`Kafka at ... (ANDON_KAFKA) cannot be used: ...`"""
    reason = reason_of(error, WITHIN_SECONDS)
    if not isinstance(error, KafkaRefused):
        reason = _forbidden(settings, error) or f"{reason}; start it, or set its address"
    return f"Kafka at {settings.kafka} (ANDON_KAFKA) cannot be used: {reason}"


def _forbidden(settings: ServiceSettings, error: Exception) -> str | None:
    """What the user may not do; None for any other error. The error names the topic or the group."""
    for kind, what in _FORBIDDEN.items():
        if isinstance(error, kind):
            named = ", ".join(str(part) for part in error.args) or "it names none"
            user = settings.kafka_user or "a client that does not sign in"
            return f"{user} may not {what} ({named}); grant it, or set ANDON_KAFKA_USER to the user of an operator"
    return None


def postgres_fault(settings: ServiceSettings, reason: str) -> str:
    """`Postgres at ... (ANDON_POSTGRES) cannot be used: ...`"""
    way_out = "start it, or set its address, user and password"
    return f"Postgres at {settings.postgres_address} (ANDON_POSTGRES) cannot be used: {reason}; {way_out}"


def ask(question: Callable[[], Awaitable[Answered]]) -> Future[Answered]:
    """Run in a thread of its own, which is left behind if it hangs: a name server may take long to answer."""
    answer: Future[Answered] = Future()

    async def run() -> None:
        try:
            answer.set_result(await question())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    return answer


async def _kafka_faults(settings: ServiceSettings, topics: Collection[str]) -> list[str]:
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            absent = await probe.missing_topics(
                KafkaAccess.of(settings), [settings.topic(t) for t in topics], WITHIN_SECONDS
            )
    except (KafkaUnreachable, TimeoutError) as error:
        return [kafka_fault(settings, error)]
    if not absent:
        return []
    named = f"topic {min(absent)}" if len(absent) == 1 else f"topics {', '.join(sorted(absent))}"
    return [f"Kafka at {settings.kafka} (ANDON_KAFKA) has no {named}; create what is missing with: andon topics create"]


async def _postgres_faults(settings: ServiceSettings, schemas: Collection[str]) -> list[str]:
    try:
        async with asyncio.timeout(WITHIN_SECONDS):
            connection = await asyncpg.connect(settings.dsn)
            missing = await connection.fetch(_MISSING, sorted(schemas))
            await connection.close()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [postgres_fault(settings, reason_of(error, WITHIN_SECONDS))]
    if not missing:
        return []
    tables = ", ".join(row["name"] for row in missing)
    where = f"Postgres at {settings.postgres_address} (ANDON_POSTGRES)"
    return [f"{where} has no tables of Andon in schema {tables}; create them with: andon migrate"]
