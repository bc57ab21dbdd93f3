"""What to say where Kafka or Postgres cannot be used: one line with the way out, in place of a stack."""

from __future__ import annotations

from socket import gaierror
from typing import Any

from typer.core import TyperGroup

from services.cli.console import fail


class Commands(TyperGroup):
    """The commands of `andon`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if (words := why(error)) is None:
                raise
            raise fail(words) from None


def why(error: Exception) -> str | None:
    """The words for an error of a server that is not there or lets nobody in; None for any other."""
    from aiokafka.errors import KafkaError
    from asyncpg import InterfaceError, PostgresError

    from shared.runtime.settings import ServiceSettings

    settings = ServiceSettings.from_environment()
    if isinstance(error, KafkaError):
        return f"Kafka at {settings.kafka} (ANDON_KAFKA) cannot be used: {error}; start it, or set its address"
    refused = isinstance(error, ConnectionError | gaierror) or "Connect call failed" in str(error)
    if refused or isinstance(error, PostgresError | InterfaceError):
        return f"Postgres (ANDON_POSTGRES) cannot be used: {error}; start it, or set its address, user and password"
    return None
