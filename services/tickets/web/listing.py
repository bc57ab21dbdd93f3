"""The list of tickets: its filters, its parts, and their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError

from services.tickets.query import QueryError, TicketQuery, explain
from services.tickets.store.tickets import TicketFilter
from services.tickets.web.outcomes import outcome_counts
from services.tickets.web.view_models import TicketView
from shared.contracts.tickets import TicketState


class Sort(StrEnum):
    """What comes first."""

    URGENT = "urgent"
    MONEY = "money"
    OLDEST = "oldest"
    NEWEST = "newest"


# In these a ticket needs somebody, the most urgent first.
NEEDING = (TicketState.OPEN, TicketState.ACKNOWLEDGED, TicketState.PLANNED, TicketState.DOING)
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
    """The filters of the page, which can also be sorted."""

    sort: Annotated[Sort, BeforeValidator(_sort)] = Sort.URGENT


def parse(query: Mapping[str, str]) -> tuple[TicketFilter, Sort]:
    """Read the filters and the order of an address; raises QueryError."""
    try:
        asked = ListQuery.model_validate(dict(query))
    except ValidationError as error:
        raise QueryError(explain(error.errors(include_url=False), ListQuery)) from None
    return asked.filter, asked.sort


def parts(views: Sequence[TicketView], sort: Sort) -> dict[str, Any]:
    """The parts of the list, each in order. What is closed is in the order of its closing.

    A verdict that nobody has decided on needs somebody, though its ticket is closed.
    """
    of_state = {state: [view for view in views if view.ticket.state is state] for state in TicketState}
    unseen, currency = of_state[TicketState.OPEN], main_currency(views)
    closed = [view for view in of_state[TicketState.CLOSED] if not view.is_to_decide]
    needing = [view for state in NEEDING for view in of_state[state]]
    return {
        "needing": in_order(needing, sort, currency),
        "unseen": len(unseen),
        "deciding": [view for view in of_state[TicketState.CLOSED] if view.is_to_decide],
        "verifying": in_order(of_state[TicketState.VERIFYING], sort, currency),
        "snoozed": in_order(of_state[TicketState.SNOOZED], sort, currency),
        "closed": closed,
        "outcomes": outcome_counts([view.ticket for view in closed]),
        "sort": sort,
        "currency": currency,
    }


def main_currency(views: Sequence[TicketView]) -> str | None:
    """The currency of the most deals: sums in it decide the order, as currencies cannot be added up."""
    deals: Counter[str] = Counter()
    for view in views:
        deals.update({one.currency: one.deals for one in view.stake.sums if one.currency})
    return min(deals, key=lambda currency: (-deals[currency], currency), default=None)


def in_order(views: Sequence[TicketView], sort: Sort, currency: str | None) -> list[TicketView]:
    """What hurts most first: not yet seen, then not yet planned, the most money, the longest lasting."""

    def key(view: TicketView) -> tuple[Any, ...]:
        state = view.ticket.state
        stage = NEEDING.index(state) if state in NEEDING else len(NEEDING)
        begun, number = view.ticket.problem.opened_at.timestamp(), view.ticket.id
        money = -view.stake.of(currency)
        return {
            Sort.URGENT: (stage, money, begun, number),
            Sort.MONEY: (money, begun, number),
            Sort.OLDEST: (begun, number),
            Sort.NEWEST: (-begun, -number),
        }[sort]

    return sorted(views, key=key)
