"""`andon migrate`."""

from __future__ import annotations

import asyncio

from services.cli.console import fail, message


def migrate() -> None:
    """Create or update the database tables of every service, and the role that reads the SQL views."""
    from services.cli.migrate_settings import MigrateSettings
    from services.cli.servers import check_servers
    from shared.postgres.migrate import MigrationError, migrate_all
    from shared.postgres.report import ReportRoleError, grant_report

    check_servers(schemas=())
    settings = MigrateSettings.from_environment()
    try:
        applied = asyncio.run(migrate_all(settings.dsn))
    except MigrationError as error:
        raise fail(error) from None
    for schema, names in applied.items():
        message(f"{schema}: {', '.join(names) or 'up to date'}")
    password = settings.report_password
    try:
        asyncio.run(grant_report(settings.dsn, password.get_secret_value() if password else None))
    except ReportRoleError as error:
        # Only readers of SQL need it: the services run without.
        message(f"warning: {error}")
