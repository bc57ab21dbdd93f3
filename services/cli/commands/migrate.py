"""`andon migrate`."""

from __future__ import annotations

import asyncio

from pydantic import Field, SecretStr

from services.cli.console import fail, message
from shared.runtime.settings import ServiceSettings


def _password_of(role: str) -> SecretStr | None:
    text = f"password of the role {role}, as which the service signs in to Postgres; without one the role cannot"
    field: SecretStr | None = Field(None, description=text)
    return field


class MigrateSettings(ServiceSettings):
    """Settings of `andon migrate`."""

    report_password: SecretStr | None = Field(
        None, description="password of the role andon_report, which reads the SQL views; without one it cannot sign in"
    )
    role_detector_password: SecretStr | None = _password_of("andon_detector")
    role_analyst_password: SecretStr | None = _password_of("andon_analyst")
    role_tickets_password: SecretStr | None = _password_of("andon_tickets")
    role_notifier_password: SecretStr | None = _password_of("andon_notifier")
    role_enricher_password: SecretStr | None = _password_of("andon_enricher")

    def passwords(self) -> dict[str, str]:
        """Those that are set, by service."""
        given = {
            "detector": self.role_detector_password,
            "analyst": self.role_analyst_password,
            "tickets": self.role_tickets_password,
            "notifier": self.role_notifier_password,
            "enricher": self.role_enricher_password,
        }
        return {service: secret.get_secret_value() for service, secret in given.items() if secret is not None}


def migrate() -> None:
    """Create or update the database tables of every service, and the roles of services and of readers."""
    from services.cli.servers import check_servers
    from shared.postgres.migrate import MigrationError, migrate_all

    check_servers(schemas=())
    settings = MigrateSettings.from_environment()
    try:
        applied = asyncio.run(migrate_all(settings.dsn))
    except MigrationError as error:
        raise fail(error) from None
    for schema, names in applied.items():
        message(f"{schema}: {', '.join(names) or 'up to date'}")
    _make_roles(settings)


def _make_roles(settings: MigrateSettings) -> None:
    from shared.postgres.cluster_roles import RoleError
    from shared.postgres.report import grant_report
    from shared.postgres.roles import grant_roles

    passwords, of_readers = settings.passwords(), settings.report_password
    try:
        asyncio.run(grant_roles(settings.dsn, passwords))
    except RoleError as error:
        if passwords:
            raise fail(error) from None
        message(f"warning: {error}")
    try:
        asyncio.run(grant_report(settings.dsn, of_readers.get_secret_value() if of_readers else None))
    except RoleError as error:
        # Only readers of SQL need it: the services run without.
        message(f"warning: {error}")
