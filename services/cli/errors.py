"""Reports an unusable Kafka or Postgres in one line that says which setting to change, instead of a traceback."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from services.cli.console import fail


class AndonCommands(TyperGroup):
    """The root group; every command passes through `invoke`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if (message := explain(error)) is None:
                raise
            raise fail(message) from None


def explain(error: Exception) -> str | None:
    """The message for the user if a server is unreachable or rejects us; None for any other error."""
    from aiokafka.errors import KafkaError
    from asyncpg import InterfaceError, PostgresError

    from shared.postgres.pool import DatabaseUnavailable
    from shared.runtime.settings import ServiceSettings

    if isinstance(error, KafkaError):
        address = ServiceSettings.from_environment().kafka
        return f"Kafka at {address} (ANDON_KAFKA) cannot be used: {error}; start it, or set its address"
    if isinstance(error, DatabaseUnavailable | PostgresError | InterfaceError):
        return f"Postgres (ANDON_POSTGRES) cannot be used: {error}; start it, or set its address, user and password"
    return None
