"""The filters of the list of tickets, as the API and the page read them from an address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from services.tickets.store.tickets import TicketFilter
from shared.contracts.tickets import TicketState

MAX_LIMIT = 200
# What Postgres keeps as a bigint.
_MAX_DIGITS = 18


class QueryError(ValueError):
    """A filter that cannot be used. The text names it, its value and the way out."""


def number(text: str) -> int:
    """A number in plain digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ValueError(f"{text[:40]!r} is not a number")
    return int(text)


def _state(text: str) -> TicketState:
    if text not in list(TicketState):
        raise ValueError(f"{text[:40]!r} is not a state; use {', '.join(TicketState)}")
    return TicketState(text)


def _before(text: str) -> int | None:
    return number(text) if text else None


def limit_of(text: str) -> int:
    """How many a page has."""
    limit = number(text) if text else 0
    if not 0 < limit <= MAX_LIMIT:
        raise ValueError(f"{limit}; use 1 to {MAX_LIMIT}")
    return limit


# Postgres keeps no NUL character, so nothing is found by it.
_Text = Annotated[str, AfterValidator(lambda text: text.replace("\x00", "\ufffd"))]


class TicketQuery(BaseModel):
    """Filters of the list; without one, all tickets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: _Text | None = None
    kind: _Text | None = None
    state: Annotated[TicketState | None, BeforeValidator(_state)] = None
    before: Annotated[int | None, BeforeValidator(_before)] = Field(None, description="tickets with a smaller number")
    limit: Annotated[int, BeforeValidator(limit_of)] = Field(50, json_schema_extra={"minimum": 1, "maximum": MAX_LIMIT})

    @property
    def filter(self) -> TicketFilter:
        state = self.state.value if self.state else None
        return TicketFilter(self.pipeline, self.kind, state, self.before, self.limit)


def explain(errors: Sequence[Mapping[str, Any]], model: type[BaseModel]) -> str:
    """The first fault of an address, unknown names first: `state: 'lost' is not a state; use ...`"""
    first = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    name = str(first["loc"][-1])
    if first["type"] == "extra_forbidden":
        return f"{name}: no such filter; use {', '.join(model.model_fields)}"
    return f"{name}: {first.get('ctx', {}).get('error', first['msg'])}"
