"""`andon mail`: the link to the page of all addresses."""

from __future__ import annotations

import asyncio

from services.cli.servers import check_servers
from services.notifier.operator_page import operator_link
from services.notifier.settings import NotifierSettings


def addresses() -> str:
    """Raises ServersUnusable."""
    settings = NotifierSettings.from_environment()
    check_servers(schemas=("notices",))
    return asyncio.run(operator_link(settings))
