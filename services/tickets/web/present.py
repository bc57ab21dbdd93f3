"""What the pages show: tickets, evidence and history as plain values with the words already chosen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.tickets.lifecycle import Ticket
from services.tickets.words import Told, tell
from shared.contracts.problems import EvidenceDeal
from shared.contracts.tickets import TicketState
from shared.policy import Policy

STATES = {
    TicketState.OPEN: "not yet seen", TicketState.ACKNOWLEDGED: "seen", TicketState.SNOOZED: "resting",
    TicketState.CLOSED: "closed",
}  # fmt: skip
OUTCOMES = {
    "cleared-without-change": "the problem went away by itself", "abandoned": "given up",
    "wont-fix": "nothing will be changed", "retracted": "late events show that it never was",
}  # fmt: skip
KINDS = {
    "aging": "waiting too long",
    "wip-high": "too much work",
    "wip-low": "running dry",
    "stalled": "standing still",
}
CHANGES = {
    "opened": "The problem was found", "grew": "The problem grew", "updated": "The problem changed",
    "cleared": "The problem was over", "reopened": "The problem came back", "acknowledged": "Somebody has seen it",
    "snoozed": "Put aside", "woke": "Came back after its rest", "closed": "Closed", "noticed": "Told by mail",
}  # fmt: skip
MAILS = {
    "opened": "that it opened", "grew": "that it grew", "reopened": "that it came back", "cleared": "that it is over",
    "opened-and-cleared": "that it opened and is over",
}  # fmt: skip


@dataclass(frozen=True)
class View:
    """One ticket with its words."""

    ticket: Ticket
    told: Told
    state: str
    since: str
    outcome: str | None
    spark: str = ""


def view(ticket: Ticket, policy: Policy, now: datetime, spark: str = "") -> View:
    return View(
        ticket, tell(ticket.problem, policy), STATES[ticket.state], ago(ticket.opened_at, now),
        OUTCOMES[ticket.outcome.value] if ticket.outcome else None, spark,
    )  # fmt: skip


def ago(moment: datetime, now: datetime) -> str:
    """`2 days`, `5 hours`, `3 minutes`: how long it has lasted."""
    seconds = max(0, int((now - moment).total_seconds()))
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a minute"


def exact(moment: datetime, zone: str) -> str:
    """`Mon 3 Nov 2025, 09:12 CET`"""
    try:
        local = moment.astimezone(ZoneInfo(zone))
    except OverflowError:
        # Some CRMs plan a next step for the last second of the year 9999: other zones are past it.
        local = moment
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"


@dataclass(frozen=True)
class DealRow:
    """One deal of the evidence."""

    name: str
    age: str
    amount: str
    moved: str
    next_step: str
    url: str | None


def deal_row(deal: EvidenceDeal, zone: str, day_seconds: int) -> DealRow:
    moved = exact(deal.last_movement_at, zone) if deal.last_movement_at else "not known"
    return DealRow(
        deal.name or deal.deal.partition(":")[2] or deal.deal, age(deal.age_seconds, day_seconds), money(deal), moved,
        exact(deal.next_step_at, zone) if deal.next_step_at else "none planned",
        deal.url if deal.url and deal.url.startswith(("https://", "http://")) else None,
    )  # fmt: skip


def age(seconds: float, day_seconds: int) -> str:
    """In days of the stage's clock, or in hours below one."""
    unit = "working day" if day_seconds != 86_400 else "day"
    if seconds < day_seconds:
        hours = int(seconds // 3600)
        return f"{hours} hour{'' if hours == 1 else 's'}"
    days = int(seconds // day_seconds)
    return f"{days} {unit}{'' if days == 1 else 's'}"


def money(deal: EvidenceDeal) -> str:
    """`48,500 EUR`"""
    if deal.amount is None:
        return ""
    whole, _, rest = deal.amount.partition(".")
    cents = f".{rest}" if rest.strip("0") else ""
    return f"{int(whole):,}{cents} {deal.currency or ''}".strip()


def history_rows(rows: list[Any], notices: list[Any], zone: str) -> list[dict[str, Any]]:
    """Changes and mails in one row of time, the newest first."""
    found = [
        {
            "at": row["at"], "exact": exact(row["at"], zone), "what": CHANGES.get(row["change"], row["change"]),
            "who": "somebody on this page" if row["actor"] == "person" else "", "why": row["reason"], "bad": False,
        }
        for row in rows
    ]  # fmt: skip
    for row in notices:
        sent = row["result"] == "sent"
        about = MAILS.get(row["reason"], row["reason"])
        found.append({
            "at": row["at"], "exact": exact(row["at"], zone), "bad": not sent, "who": "",
            "what": f"Mail to the owner of the policy, {about}: {'sent' if sent else 'refused by the mail server'}",
            "why": None if sent else row["detail"],
        })  # fmt: skip
    return sorted(found, key=lambda one: one["at"], reverse=True)


def days_from(now: datetime, days: int) -> str:
    """The date so many days ahead, for a form."""
    return (now.astimezone(UTC) + timedelta(days=days)).date().isoformat()
