"""`andon migrate`."""

from __future__ import annotations

import asyncio

from services.cli.console import fail, stderr


def migrate() -> None:
    """Create or update the database tables of every service."""
    from services.cli.servers import check_servers
    from shared.postgres.migrate import MigrationError, migrate_all
    from shared.runtime.settings import ServiceSettings

    check_servers(schemas=())
    try:
        applied = asyncio.run(migrate_all(ServiceSettings.from_environment().dsn))
    except MigrationError as error:
        raise fail(error) from None
    for schema, names in applied.items():
        stderr.print(f"{schema}: {', '.join(names) or 'up to date'}")
