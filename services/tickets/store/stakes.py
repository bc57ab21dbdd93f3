"""SQL of what the deals in problems are worth now, by currency."""

from __future__ import annotations

from collections.abc import Mapping

from shared.postgres.pool import Executor
from shared.wording.money import CurrencySum, MoneyAtStake, ordered

_SUMS = """
SELECT key, nullif(deal ->> 'currency', '') AS currency, sum((deal ->> 'amount')::numeric) AS amount, count(*) AS deals
FROM evidence_now AS e,
    jsonb_array_elements(e.data -> 'worst' || (e.data -> 'sample') || coalesce(e.data -> 'rest', '[]')) AS deal
WHERE key = ANY ($1) AND deal ->> 'amount' IS NOT NULL GROUP BY 1, 2
"""


async def of_problems(executor: Executor, totals: Mapping[str, int]) -> Mapping[str, MoneyAtStake]:
    """By problem key; `totals`: how many deals are in each problem now. Problems without a known amount have no sum."""
    sums: dict[str, list[CurrencySum]] = {key: [] for key in totals}
    for row in await executor.fetch(_SUMS, list(totals)):
        sums[row["key"]].append(CurrencySum(row["currency"], row["amount"], row["deals"]))
    return {key: ordered(found, totals[key]) for key, found in sums.items()}
