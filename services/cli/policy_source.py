"""The policy that a command works by: the file, or the version in force where people edit it in the browser."""

from __future__ import annotations

import asyncio

from services.cli.servers import check_servers
from shared.policy import Policy, load
from shared.postgres.pool import open_pool
from shared.runtime.settings import ServiceSettings
from shared.stream import policies


def policy_to_use(settings: ServiceSettings, schema: str) -> Policy:
    """The policy; `schema`: of the service whose copy of the versions is read. Raises PolicyError, ServersUnusable."""
    if settings.is_policy_a_file:
        return load(settings.policy)
    check_servers(schemas=(schema,))
    return asyncio.run(_in_force(settings, schema))


async def _in_force(settings: ServiceSettings, schema: str) -> Policy:
    pool = await open_pool(settings.dsn, schema)
    try:
        return (await policies.policy_in_force(settings, pool)).policy
    finally:
        await pool.close()
