"""Whether Postgres answers, signs us in, and is new enough."""

from __future__ import annotations

import asyncio

import asyncpg

from services.cli.doctor.check import Check, Site
from services.cli.doctor.finding import CheckFinding, bad, good, look
from services.cli.servers import postgres_fault
from shared.runtime.dependencies import reason_of

SECONDS = 4.0
# The oldest major version that Andon is tested with.
TESTED = 16


async def _run(site: Site) -> list[CheckFinding]:
    settings = site.settings
    try:
        async with asyncio.timeout(SECONDS):
            connection = await asyncpg.connect(settings.dsn)
            version = connection.get_server_version()
            await connection.close()
    except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return [bad("Postgres", postgres_fault(settings, reason_of(error, SECONDS)), "")]
    text = f"{settings.postgres_address} answers; version {version.major}.{version.minor}"
    if version.major < TESTED:
        return [look("Postgres", text, f"upgrade it: Andon is tested with {TESTED} and newer")]
    return [good("Postgres", text)]


CHECK = Check("postgres", _run, seconds=SECONDS + 1)
