"""A pull of the cord as it was written, and the checks of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from services.tickets.cord.typed_text import plain_line, plain_text
from services.tickets.domain.faults import NotPossibleError

MAX_SEEN, MAX_DEAL = 1000, 300
# A longer text is not even made plain.
_MAX_TYPED = 8 * MAX_SEEN
OLDEST = timedelta(days=366)


@dataclass(frozen=True)
class Pull:
    """What was seen, on which day, at which deal. Says nothing about who pulled."""

    seen: str
    day: date | None = None
    deal: str | None = None


def words_of(pull: Pull) -> str:
    """All of it as the history of the ticket has it: `Approvals take a week. (On 3 November; deal 4711.)`"""
    day = f"On {pull.day.day} {pull.day:%B}" if pull.day else ""
    deal = f"deal {pull.deal}" if pull.deal else ""
    beside = "; ".join(part for part in (day, deal) if part)
    return f"{pull.seen} ({beside[0].upper()}{beside[1:]}.)" if beside else pull.seen


def read_pull(form: Mapping[str, str], now: datetime, zone: str) -> Pull:
    """Read the form; days are those of `zone`. Raises NotPossibleError with the field and the way out."""
    return Pull(
        _seen(form.get("seen", "")), _day(form.get("day", ""), now.astimezone(ZoneInfo(zone)).date()), _deal(form)
    )


def _seen(typed: str) -> str:
    seen = plain_text(typed[:_MAX_TYPED])
    if not seen:
        raise NotPossibleError("Write what you saw: one sentence is enough.", "seen")
    if len(seen) > MAX_SEEN or len(typed) > _MAX_TYPED:
        raise NotPossibleError(f"This is longer than {MAX_SEEN:,} letters; write the core of it.", "seen")
    return seen


def _day(typed: str, today: date) -> date | None:
    if not typed.strip():
        return None
    try:
        day = datetime.strptime(typed.strip()[:20], "%Y-%m-%d").date()  # noqa: DTZ007
    except ValueError:
        raise NotPossibleError("This is no day; choose one in the calendar, or leave it empty.", "day") from None
    if not today - OLDEST <= day <= today:
        raise NotPossibleError("Choose a day of the last twelve months, or leave it empty.", "day")
    return day


def _deal(form: Mapping[str, str]) -> str | None:
    typed = form.get("deal", "")
    deal = plain_line(typed[: 8 * MAX_DEAL])
    if len(deal) > MAX_DEAL or len(typed) > 8 * MAX_DEAL:
        raise NotPossibleError(f"Write the number or the address of one deal, in {MAX_DEAL} letters at most.", "deal")
    return deal or None
