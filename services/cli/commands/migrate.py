"""`andon migrate`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.cli.console import fail, message

if TYPE_CHECKING:
    from services.cli.migrate_settings import MigrateSettings


def migrate() -> None:
    """Create or update the database tables of every service, and the roles of services and of readers."""
    from services.cli.migrate_settings import MigrateSettings
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
