"""Messages as the detector makes them, for tests of what comes after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import uuid4

from shared.contracts.problems import (
    CauseClass,
    Evidence,
    EvidenceDeal,
    Mode,
    ProblemData,
    ProblemEvent,
    ProblemInterval,
    ProblemReason,
)
from shared.contracts.tickets import Actor, TicketChange, TicketData, TicketEvent, TicketState
from shared.policy import Policy, parse

# A picture of one point.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

BASE = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY = """
version: 1
timezone: Europe/Berlin
clocks: {office: {timezone: Europe/Berlin, days: [mon, tue, wed, thu, fri], hours: ["09:00-17:00"]}}
pipelines:
  new:
    name: New business
    owner: {name: Head of new business, mail: head@sales.example}
    stages: [{id: demo, name: Demo}, {id: proposal, name: Proposal}, {id: legal, name: Legal, clock: office}]
    rules:
      - {kind: aging, stage: proposal, limit: 21d, count: 5}
      - {kind: aging, stage: legal, limit: 10d}
      - {kind: wip-high, stage: demo, max: 25}
"""


@cache
def policy() -> Policy:
    return parse(POLICY)


def day(number: float) -> datetime:
    """That many days after the first."""
    return BASE + timedelta(days=number)


def problem(reason: ProblemReason = ProblemReason.OPENED, opened: float = 0, **fields: Any) -> ProblemData:
    """One message's data; `cleared` and `was` are days."""
    cleared, was = fields.pop("cleared", None), fields.pop("was", None)
    data: dict[str, Any] = {
        "key": "aging/new/proposal",
        "kind": "aging",
        "pipeline": "new",
        "stage": "proposal",
        "reason": reason,
        "opened_at": day(opened),
        "cleared_at": None if cleared is None else day(cleared),
        "peak": 12,
        "detected_at": day(opened),
        "rule": "aging/1",
        "policy_version": "1-x",
        "count": 12,
        "threshold": 5,
        "limit": "21d",
        "limit_seconds": 21 * 86_400,
        "usual": 3.0,
        "cause_class": CauseClass.SPECIAL,
        "was": None if was is None else ProblemInterval(opened_at=day(was), cleared_at=None, peak=5),
        "evidence": evidence(3),
        "mode": Mode.ACTIVE,
    }
    return ProblemData(**(data | fields))


def evidence(count: int) -> Evidence:
    deals = tuple(
        EvidenceDeal(
            deal=f"crm:{n}",
            name=f"Deal {n}",
            amount="9500.00",
            currency="EUR",
            entered_at=day(-30 - n),
            age_seconds=(30 + n) * 86_400.0,
            url=f"https://crm.example/deals/{n}",
        )
        for n in range(count)
    )
    return Evidence(at=day(0), total=count, worst=deals, sample=deals[:1])


def event(data: ProblemData, number: str | None = None) -> ProblemEvent:
    made = ProblemEvent.of("andon/detector", data, correction=0)
    return made.model_copy(update={"id": number or uuid4().hex, "time": data.opened_at})


def ticket_event(
    change: TicketChange = TicketChange.OPENED, ticket: int = 1, seq: int = 1, chart: bool = True, **fields: Any
) -> TicketEvent:
    """A message on improvement.tickets."""
    data: dict[str, Any] = {
        "ticket": ticket,
        "seq": seq,
        "change": change,
        "at": day(0),
        "actor": Actor.SYSTEM,
        "key": "aging/new/proposal",
        "kind": "aging",
        "pipeline": "new",
        "pipeline_name": "New business",
        "stage": "proposal",
        "stage_name": "Proposal",
        "state": TicketState.OPEN,
        "title": "Deals wait too long in Proposal",
        "sentence": "12 deals, usually 3, have been in Proposal for more than 21 days.",
        "asks_for": "Something happened around the week of 2 March: find it before you change anything.",
        "cause_class": CauseClass.SPECIAL,
        "count": 12,
        "peak": 12,
        "opened_at": day(0),
        "problem": ProblemInterval(opened_at=day(0), cleared_at=None, peak=12),
        "evidence": evidence(3),
        "chart_png": PIXEL if chart else None,
        "chart_alt": "Proposal holds 12 deals older than 21 days",
        "url": f"http://andon.example/tickets/{ticket}",
    }
    return TicketEvent.new(
        source="andon/tickets",
        type=f"andon.ticket.{change.value}",
        subject=str(ticket),
        time=day(0),
        data=TicketData(**(data | fields)),
    )
