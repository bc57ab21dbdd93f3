"""The improvement meeting: what waits for a decision, each with its question, in the order in which to take it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.tickets.store.meeting import WaitingTicket
from services.tickets.web.times import ago
from shared.contracts.tickets import TicketChange, TicketOutcome, TicketState

# Changes and looks of the next days are prepared in the meeting.
DUE_DAYS = 7
# What nobody wanted to change is looked at once a quarter, in meetings of two weeks.
REVIEW_EVERY, REVIEW_FOR = timedelta(days=91), timedelta(days=14)
# Items of each part that the page shows.
SHOWN = 10


class Asked(StrEnum):
    """What is to be decided, in the order of the meeting."""

    UNSEEN = "unseen"
    UNPLANNED = "unplanned"
    CHANGE = "change"
    LOOK = "look"
    VERDICT = "verdict"
    LOST = "lost"
    LEFT = "left"
    BASELINE = "baseline"


HEADINGS = {
    Asked.UNSEEN: "Not yet seen",
    Asked.UNPLANNED: "Seen, without a plan",
    Asked.CHANGE: "Changes that are due",
    Asked.LOOK: "Studies that will be looked at",
    Asked.VERDICT: "Verdicts without a decision",
    Asked.LOST: "Gains that were lost",
    Asked.LEFT: "Left as it is, for review",
    Asked.BASELINE: "Old baselines",
}


# Their day is still to come: nobody has kept them waiting.
_AHEAD = (Asked.CHANGE, Asked.LOOK)


@dataclass(frozen=True)
class MeetingAction:
    """A link, or where it has fields, a button that sends a form with them."""

    label: str
    address: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MeetingItem:
    """One thing to decide. `waited`: for how long it has waited; empty where nothing is to be decided yet.

    `found`: what the system found, beside the problem's sentence.
    """

    id: str
    title: str
    address: str
    place: str
    sentence: str
    found: Sequence[str]
    spark: str
    since: datetime | None
    waited: str
    question: str
    actions: Sequence[MeetingAction]


@dataclass(frozen=True)
class MeetingPart:
    """The things of one kind, those that have waited longest first; `count` of them in all."""

    asked: Asked
    heading: str
    count: int
    items: Sequence[MeetingItem]


def asked_of(one: WaitingTicket, now: datetime, today: date, look: date | None) -> Asked | None:
    """What a ticket asks for now; None: nothing. `look`: of a study, the day of its next look."""
    if one.state in (TicketState.OPEN, TicketState.ACKNOWLEDGED):
        if one.is_lost:
            return Asked.LOST
        return Asked.UNSEEN if one.state is TicketState.OPEN else Asked.UNPLANNED
    if one.state in (TicketState.PLANNED, TicketState.DOING):
        return Asked.CHANGE if _is_near(one.change_date, today) else None
    if one.state is TicketState.VERIFYING:
        return Asked.LOOK if _is_near(look, today) else None
    if one.outcome is TicketOutcome.WONT_FIX:
        return Asked.LEFT if _is_for_review(one.since, now) else None
    return Asked.VERDICT


def _is_near(day: date | None, today: date) -> bool:
    return day is not None and day <= today + timedelta(days=DUE_DAYS)


def _is_for_review(since: datetime, now: datetime) -> bool:
    """Each quarter after the closing, for two weeks."""
    return now - since >= REVIEW_EVERY and (now - since) % REVIEW_EVERY < REVIEW_FOR


def in_parts(
    found: Collection[WaitingTicket], now: datetime, today: date, looks: Mapping[int, date | None]
) -> dict[Asked, list[WaitingTicket]]:
    """The tickets of each part, those that have waited longest first. `looks`: the next look, by number."""
    parts: dict[Asked, list[WaitingTicket]] = {asked: [] for asked in Asked}
    for one in sorted(found, key=lambda one: (one.since, one.number)):
        asked = asked_of(one, now, today, looks.get(one.number))
        if asked is not None:
            parts[asked].append(one)
    return parts


def question(asked: Asked, one: WaitingTicket, day: str) -> str:
    """What to decide. `day`: of the change or the look, in words."""
    if asked is Asked.UNSEEN:
        return "Does this need a change, can it wait, or is it left as it is?"
    if asked is Asked.UNPLANNED:
        begun = "The plan is begun; what is missing? " if one.has_draft else ""
        return f"{begun}What will be changed, and how much better will it get?"
    if asked is Asked.CHANGE and one.state is TicketState.PLANNED:
        return f"The change is to take place on {day}. Does the work on it begin, or does the date move?"
    if asked is Asked.CHANGE:
        return f"The change takes place on {day}. Is everything ready, or does the date move?"
    return {
        Asked.LOOK: f"The weeks are looked at on {day}. Was the change carried out as planned?",
        Asked.VERDICT: "Adopt the change, adapt it, or drop it?",
        Asked.LOST: "What will be changed next, or is the loss accepted?",
        Asked.LEFT: "Is it still right to change nothing?",
    }[asked]


def actions(asked: Asked, one: WaitingTicket, version: int) -> list[MeetingAction]:
    """The buttons and links of a ticket, the likeliest first. `version`: of the ticket that is shown."""
    ticket, shown = f"/tickets/{one.number}", {"version": str(version)}
    rest = MeetingAction("Snooze or close it", f"{ticket}#do")
    plan = MeetingAction("Plan a change", f"{ticket}/plan")
    if one.state is TicketState.OPEN:
        return [MeetingAction("Acknowledge", f"{ticket}/acknowledge", shown), plan, rest]
    if one.state is TicketState.ACKNOWLEDGED:
        return [plan, rest]
    dates = MeetingAction("Move the date, or withdraw the plan", f"{ticket}#do")
    if one.state is TicketState.PLANNED:
        return [MeetingAction("Start the change", f"{ticket}/start", shown), dates]
    if one.state is TicketState.DOING:
        return [dates]
    if asked is Asked.VERDICT:
        adopt = MeetingAction("Adopt the change", f"{ticket}/decide", shown | {"decision": TicketChange.ADOPTED.value})
        return [adopt, MeetingAction("Adapt or drop it", f"{ticket}#decide")]
    if asked is Asked.LEFT:
        return [MeetingAction("Reopen the ticket", f"{ticket}#do")]
    return [MeetingAction("See the study", ticket)]


def waited(asked: Asked, since: datetime, now: datetime) -> str:
    """For how long it has waited for its decision: for the system to answer, whoever could."""
    return "" if asked in _AHEAD else ago(since, now)


def summary(parts: Sequence[MeetingPart], found: Mapping[Asked, Sequence[WaitingTicket]], now: datetime) -> str:
    """`7 decisions wait, the longest for 41 days.`"""
    number = sum(part.count for part in parts if part.asked is not Asked.LOOK)
    since = [one.since for asked, tickets in found.items() if asked not in _AHEAD for one in tickets]
    if not number:
        return "Nothing waits for a decision."
    wait = "1 decision waits" if number == 1 else f"{number} decisions wait"
    return f"{wait}, the longest for {ago(min(since), now)}." if since else f"{wait}."
