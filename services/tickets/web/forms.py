"""What the forms of the ticket page ask of a ticket."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from starlette.requests import Request

from services.tickets.domain import lifecycle
from services.tickets.domain.lifecycle import NotPossibleError, Ticket, TicketStep
from shared.contracts.tickets import TicketOutcome

ACTIONS = ("acknowledge", "snooze", "close")
MOST_LETTERS = 2000
BACK_AT = time(8)


def wish(action: str, form: dict[str, str], zone: str) -> Callable[[Ticket, datetime], TicketStep]:
    """What is to be done with the ticket; NotPossibleError when what was written cannot be."""
    if action == "acknowledge":
        return lifecycle.acknowledge
    if action == "snooze":
        until = _until(form.get("until", ""), zone)
        return lambda ticket, now: lifecycle.snooze(ticket, until, now, _reason(form) or None)
    if action == "close":
        reason = _reason(form)
        outcome = next((o for o in TicketOutcome if o.value == form.get("outcome")), TicketOutcome.RETRACTED)
        return lambda ticket, now: lifecycle.close(ticket, outcome, reason, now)
    raise NotPossibleError("There is no such action; use the buttons of this page.")


def _reason(form: dict[str, str]) -> str:
    # Postgres keeps no NUL character; a browser sends a line break as two letters, which its page counts as one.
    reason = form.get("reason", "").replace("\x00", "").replace("\r\n", "\n")
    if len(reason) > MOST_LETTERS:
        raise NotPossibleError(
            f"The reason has {len(reason):,} letters; write it with {MOST_LETTERS:,} at most.", "reason"
        )
    return reason


def _until(text: str, zone: str) -> datetime:
    """The morning of a day, where the policy is at home."""
    if not text.strip():
        raise NotPossibleError("Choose a day in the calendar.", "until")
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
        return datetime.combine(day, BACK_AT, ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotPossibleError(
            f"{text[:40]!r} is no day; choose one in the calendar, as 2026-03-31.", "until"
        ) from None


def same_origin(request: Request) -> bool:
    """Browsers say where a form comes from; a program without a browser has no session to be misused."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
