"""SQL of the list of tickets: what decides their order, so that only those that are shown are read whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic import TypeAdapter

from services.tickets.domain.ticket import VERDICTS
from services.tickets.store.tickets import TicketFilter
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState
from shared.postgres.pool import Executor, Record
from shared.wording import KINDS
from shared.wording.money import CurrencySum, MoneyAtStake, stake_of_sums

# What the deals of an open problem are worth is known from flow.now; before its first message, from the ticket's own.
_LIST = """
SELECT t.id, t.state, t.outcome, t.decision, e.stake::text AS stake,
    CASE WHEN t.state = 'closed' THEN t.opened_at ELSE (t.problem ->> 'opened_at')::timestamptz END AS begun,
    t.state <> 'closed' AND e.key IS NULL AS has_own_deals
FROM ticket AS t LEFT JOIN evidence_now AS e ON e.key = t.key AND t.state <> 'closed'
WHERE ($1::text IS NULL OR t.pipeline = $1) AND ($2::text IS NULL OR t.kind = $2)
"""
_OF_STATE = f"{_LIST} AND t.state = $3 ORDER BY t.id DESC"
# Each part by its index.
_RECENT = f"""
{_LIST} AND t.state <> 'closed' UNION ALL
{_LIST} AND (t.state = 'closed' AND t.closed_at > $3
    OR t.outcome IN ('verified', 'not-shown', 'restored') AND t.decision IS NULL)
ORDER BY id DESC
"""
_PAGE = f"""
{_LIST} AND ($3::text IS NULL OR t.state = $3) AND ($4::bigint IS NULL OR t.id < $4) ORDER BY t.id DESC LIMIT $5
"""
# No deal comes twice in the evidence.
_OWN = """
SELECT t.id, coalesce((t.problem #>> '{evidence,total}')::int, 0) AS total, nullif(d ->> 'currency', '') AS currency,
    sum((d ->> 'amount')::numeric) AS amount, count(*)::int AS deals
FROM ticket AS t CROSS JOIN jsonb_path_query(t.problem -> 'evidence', '$.*[*] ? (@.type() == "object")') AS d
WHERE t.id = ANY($1::bigint[]) AND t.kind <> ALL($2::text[]) AND d ->> 'amount' IS NOT NULL GROUP BY 1, 2, 3
"""
# Where deals are missing, none is at stake.
_LACKING_WORK = [name for name, kind in KINDS.items() if kind.lacks_work]
_STAKE = TypeAdapter(MoneyAtStake)
_NOTHING = stake_of_sums((), 0)


# Made in a third of the time that a dataclass takes; a list has many hundreds.
class ListedTicket(NamedTuple):
    """A ticket by what decides its place. `begun`: when its problem began, of an open one; `stake`: of that, too."""

    id: int
    state: TicketState
    outcome: TicketOutcome | None
    decision: TicketChange | None
    begun: datetime
    stake: MoneyAtStake

    @property
    def is_to_decide(self) -> bool:
        """Whether there is a verdict that nobody has acted on."""
        return self.outcome in VERDICTS and self.decision is None


async def of_state(executor: Executor, where: TicketFilter) -> list[ListedTicket]:
    """All tickets of an open state."""
    return await _listed(executor, await executor.fetch(_OF_STATE, where.pipeline, where.kind, where.state))


async def recent(executor: Executor, where: TicketFilter, since: datetime) -> list[ListedTicket]:
    """What is open, what closed after an instant, and every verdict that nobody has acted on."""
    return await _listed(executor, await executor.fetch(_RECENT, where.pipeline, where.kind, since))


async def page(executor: Executor, where: TicketFilter) -> list[ListedTicket]:
    """One page, the newest first."""
    rows = await executor.fetch(_PAGE, where.pipeline, where.kind, where.state, where.before, where.limit)
    return await _listed(executor, rows)


async def _listed(executor: Executor, rows: Sequence[Record]) -> list[ListedTicket]:
    own = [row["id"] for row in rows if row["has_own_deals"]]
    stakes = await own_stakes(executor, own)
    return [
        ListedTicket(
            row["id"],
            TicketState(row["state"]),
            TicketOutcome(row["outcome"]) if row["outcome"] else None,
            TicketChange(row["decision"]) if row["decision"] else None,
            row["begun"],
            stakes.get(row["id"]) or (_stake(row["stake"]) if row["stake"] else _NOTHING),
        )
        for row in rows
    ]


@lru_cache(4096)
def _stake(text: str) -> MoneyAtStake:
    """The order of a list needs that of all open problems, though few change from one page to the next."""
    return _STAKE.validate_json(text)


async def own_stakes(executor: Executor, numbers: Collection[int]) -> dict[int, MoneyAtStake]:
    """What the deals in the last message about each ticket's problem are worth; where an amount of one is known."""
    sums: dict[tuple[int, int], list[CurrencySum]] = {}
    for row in await executor.fetch(_OWN, list(numbers), _LACKING_WORK) if numbers else []:
        one = CurrencySum(row["currency"], row["amount"], row["deals"])
        sums.setdefault((row["id"], row["total"]), []).append(one)
    return {number: stake_of_sums(found, total) for (number, total), found in sums.items()}
