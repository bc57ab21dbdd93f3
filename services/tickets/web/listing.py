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
    """The parts of the list, each in order. What is closed is in the order of its closing."""
    of_state = {state: [view for view in views if view.ticket.state is state] for state in TicketState}
    closed, unseen = of_state[TicketState.CLOSED], of_state[TicketState.OPEN]
    currency = main_currency(views)
    return {
        "needing": in_order([*unseen, *of_state[TicketState.ACKNOWLEDGED]], sort, currency),
        "unseen": len(unseen),
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
    """What hurts most first: not yet seen, then the most money, then the longest lasting."""

    def key(view: TicketView) -> tuple[Any, ...]:
        is_seen = view.ticket.state is not TicketState.OPEN
        begun, number = view.ticket.problem.opened_at.timestamp(), view.ticket.id
        money = -view.stake.of(currency)
        return {
            Sort.URGENT: (is_seen, money, begun, number),
            Sort.MONEY: (money, begun, number),
            Sort.OLDEST: (begun, number),
            Sort.NEWEST: (-begun, -number),
        }[sort]

    return sorted(views, key=key)
