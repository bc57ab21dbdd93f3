"""Reports what the user can change in a few plain lines, instead of a traceback."""

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
    """The message for the user if a server, a setting or a file cannot be used; None for any other error."""
    from aiokafka.errors import KafkaError
    from asyncpg import InsufficientPrivilegeError, InterfaceError, PostgresError, UndefinedTableError

    from services.cli.servers import ServersUnusable, kafka_fault, postgres_fault
    from shared.policy import PolicyError
    from shared.postgres.pool import DatabaseUnavailable
    from shared.runtime.settings import ServiceSettings, SettingsError
    from shared.runtime.yaml_file import FaultsError

    if isinstance(error, PolicyError):
        return f"The policy {ServiceSettings.from_environment().policy} (ANDON_POLICY) cannot be used:\n{error}"
    if isinstance(error, SettingsError | ServersUnusable | FaultsError):
        return str(error)
    if isinstance(error, KafkaError):
        return kafka_fault(ServiceSettings.from_environment(), error)
    if isinstance(error, UndefinedTableError):
        return f"Postgres (ANDON_POSTGRES) has not all tables of this version ({error}); run: andon migrate"
    if isinstance(error, InsufficientPrivilegeError):
        settings = ServiceSettings.from_environment()
        return (
            f"Postgres at {settings.postgres_address} (ANDON_POSTGRES) does not let this user do that ({error}); run"
            " the command as the owner of the database, in Compose: docker compose run --rm andon ..."
        )
    if isinstance(error, DatabaseUnavailable | PostgresError | InterfaceError):
        return postgres_fault(ServiceSettings.from_environment(), str(error))
    return None
