"""The policy that a command works by: the file, or the version in force where people edit it in the browser."""

from __future__ import annotations

import asyncio

from services.cli.servers import check_servers
from shared.policy import Policy
from shared.runtime.settings import ServiceSettings
from shared.stream.policies import policy_of_command


def policy_to_use(settings: ServiceSettings, schema: str) -> Policy:
    """The policy; `schema`: of the service whose copy of the versions is read. Raises PolicyError, ServersUnusable."""
    if not settings.is_policy_a_file:
        check_servers(schemas=(schema,))
    return asyncio.run(policy_of_command(settings, schema))
