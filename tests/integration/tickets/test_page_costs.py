"""What a page costs the database: how many statements it takes, whatever it shows."""

from __future__ import annotations

import asyncpg
import httpx

from shared.postgres.pool import Pool
from tests.support.page_charts import drawings

# With BEGIN and COMMIT. Each statement waits for its turn on both sides, which beside 500 events a second takes longer
# than its work.
MOST_STATEMENTS = {
    "/tickets": 9,
    "/tickets?state=closed": 8,
    "/tickets/1": 16,
    "/pipelines": 7,
    "/pipelines/new": 7,
    "/meeting": 9,
    "/stage?pipeline=new&stage=proposal": 8,
    "/charts/new/proposal/arrivals": 7,
    "/forecast?pipeline=new": 7,
    "/ledger": 7,
    "/tickets/1/plan": 7,
    "/api/v1/tickets": 7,
    "/api/v1/tickets/1": 11,
}


async def test_no_page_takes_more_statements_than_are_known(web: httpx.AsyncClient, pool: Pool) -> None:
    asked: list[str] = []

    def note(query: asyncpg.connection.LoggedQuery) -> None:
        asked.append(query.query)

    opened = [await pool.acquire() for _ in range(pool.get_max_size())]
    for connection in opened:
        connection.add_query_logger(note)
        await pool.release(connection)
    counts = {}
    for address in MOST_STATEMENTS:
        # The first time, asyncpg also asks for types that it does not know yet.
        await web.get(address)
        asked.clear()
        assert (await web.get(address)).status_code == 200, address
        counts[address] = len(asked)

    asked.clear()
    assert await drawings(web, await web.get("/tickets/1"))
    assert len(asked) == counts["/tickets/1"], "a chart of a page that was just shown reads nothing"
    assert {address: count for address, count in counts.items() if count > MOST_STATEMENTS[address]} == {}
    assert min(counts.values()) > 0
