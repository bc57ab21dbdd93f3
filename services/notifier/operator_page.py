"""The link to the page of all addresses, for whoever can reach the database of the notifier."""

from __future__ import annotations

from services.notifier.domain.links import Links
from services.notifier.settings import NotifierSettings
from services.notifier.store.signing_key import signing_key
from shared.postgres.command import one_connection
from shared.runtime.clock import SystemClock


async def operator_link(settings: NotifierSettings) -> str:
    """Its address, on the notifier's own port where readers have none."""
    async with one_connection(settings.dsn, "notices") as pool:
        links = Links(await signing_key(pool))
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = settings.notifier_url.rstrip("/") or f"http://{host}:{settings.port}"
    return f"{base}/mail/addresses/{links.operator_token(SystemClock().now())}"
