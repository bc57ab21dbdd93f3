"""What the command line may read of the analyst."""

from __future__ import annotations

from services.analyst.store import points
from shared.flow.statistics.weeks import Weeks
from shared.postgres.pool import open_pool
from shared.runtime.instants import micros
from shared.runtime.settings import ServiceSettings


async def known_weeks(settings: ServiceSettings, zone: str) -> Weeks | None:
    """The weeks of all charts, from that of the first event on; None before the first weekly measure."""
    pool = await open_pool(settings.dsn, "analysis")
    try:
        first = await points.first_start(pool)
        return None if first is None else Weeks(micros(first), zone)
    finally:
        await pool.close()
