"""The list of tickets: its filters, its parts, and their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from services.tickets.query import QueryError, TicketQuery, explain, number
from services.tickets.store.listed import ListedTicket
from services.tickets.web.outcomes import outcome_counts
from shared.contracts.tickets import TicketState


class Sort(StrEnum):
    """What comes first."""

    URGENT = "urgent"
    MONEY = "money"
    OLDEST = "oldest"
    NEWEST = "newest"


# In these a ticket needs somebody, the most urgent first.
NEEDING = (TicketState.OPEN, TicketState.ACKNOWLEDGED, TicketState.PLANNED, TicketState.DOING)
_STAGE_OF = {state: number for number, state in enumerate(NEEDING)}
SORTS = {
    Sort.URGENT: "what hurts most",
    Sort.MONEY: "most money at stake",
    Sort.OLDEST: "longest lasting",
    Sort.NEWEST: "newest",
}


def _sort(text: str) -> Sort:
    if text not in list(Sort):
        raise ValueError(f"{text[:40]!r} is not an order; use {', '.join(Sort)}")
    return Sort(text)


class ListQuery(TicketQuery):
    """The filters of the page, which can also be sorted. `skip`: of the first part, what earlier pages have shown."""

    sort: Annotated[Sort, BeforeValidator(_sort)] = Sort.URGENT
    skip: Annotated[int, BeforeValidator(number)] = 0

    @property
    def is_recent(self) -> bool:
        """Whether all that is open is asked for, and what closed lately."""
        return self.state is None and self.before is None

    @property
    def is_page(self) -> bool:
        """Whether one page is asked for, of closed tickets or of older ones: what hurts most may be old."""
        return self.state is TicketState.CLOSED or self.before is not None


def parse(query: Mapping[str, str]) -> ListQuery:
    """Read the filters and the order of an address; raises QueryError."""
    try:
        return ListQuery.model_validate(dict(query))
    except ValidationError as error:
        raise QueryError(explain(error.errors(include_url=False), ListQuery)) from None


@dataclass(frozen=True)
class ListParts:
    """The tickets of each part, each in order; `NEEDING` first. What is closed is in the order of its closing.

    A verdict that nobody has decided on needs somebody, though its ticket is closed.
    """

    needing: Sequence[ListedTicket]
    deciding: Sequence[ListedTicket]
    verifying: Sequence[ListedTicket]
    snoozed: Sequence[ListedTicket]
    closed: Sequence[ListedTicket]

    @property
    def unseen(self) -> int:
        return sum(one.state is TicketState.OPEN for one in self.needing)

    @property
    def outcomes(self) -> str:
        return outcome_counts(one.outcome for one in self.closed)


def in_parts(found: Sequence[ListedTicket], sort: Sort) -> ListParts:
    currency = main_currency(found)
    of_state = {state: [one for one in found if one.state is state] for state in TicketState}
    closed = of_state[TicketState.CLOSED]
    return ListParts(
        in_order([one for state in NEEDING for one in of_state[state]], sort, currency),
        [one for one in closed if one.is_to_decide],
        in_order(of_state[TicketState.VERIFYING], sort, currency),
        in_order(of_state[TicketState.SNOOZED], sort, currency),
        [one for one in closed if not one.is_to_decide],
    )


def main_currency(found: Sequence[ListedTicket]) -> str | None:
    """The currency of the most deals: sums in it decide the order, as currencies cannot be added up."""
    deals: Counter[str] = Counter()
    for listed in found:
        for one in listed.stake.sums:
            if one.currency:
                deals[one.currency] += one.deals
    return min(deals, key=lambda currency: (-deals[currency], currency), default=None)


def in_order(found: Sequence[ListedTicket], sort: Sort, currency: str | None) -> list[ListedTicket]:
    """What hurts most first: not yet seen, then not yet planned, the most money, the longest lasting."""

    def money(one: ListedTicket) -> Decimal:
        return -one.stake.of(currency)

    keys: Mapping[Sort, Callable[[ListedTicket], tuple[Any, ...]]] = {
        Sort.URGENT: lambda one: (_STAGE_OF.get(one.state, len(NEEDING)), money(one), one.begun, one.id),
        Sort.MONEY: lambda one: (money(one), one.begun, one.id),
        Sort.OLDEST: lambda one: (one.begun, one.id),
        Sort.NEWEST: lambda one: (-one.begun.timestamp(), -one.id),
    }
    return sorted(found, key=keys[sort])
