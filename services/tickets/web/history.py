"""The history of a ticket in words: its changes, and what became of the mails about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.tickets.web.outcomes import OUTCOMES
from shared.contracts.problems import ProblemInterval
from shared.contracts.tickets import TicketOutcome
from shared.postgres.pool import Record

CHANGES = {
    "opened": "The problem began",
    "grew": "The problem grew",
    "updated": "The problem changed",
    "cleared": "The problem was over",
    "reopened": "The problem came back",
    "acknowledged": "Somebody has seen it",
    "snoozed": "Snoozed",
    "woke": "Came back after the snooze",
    "closed": "Closed",
    "undone": "The last step was undone",
    "planned": "A plan was sealed",
    "rescheduled": "The change date was moved",
    "withdrawn": "The plan was withdrawn",
    "started": "Work on the change began",
    "verifying": "The change date has come: the weeks after it are studied",
    "verdict": "The study is over",
    "adopted": "The change was adopted",
    "adapted": "The change is to be adapted: the ticket is open again",
    "dropped": "The change was dropped",
    "held": "The gain holds",
    "fading": "Part of the gain may be lost",
    "decayed": "The gain is lost",
    "pulled": "The cord was pulled again",
    "linked": "Linked to an issue",
}
# What follows from a study: its gain is lost, or late events took its verdict back.
AGAIN = {"reopened": "Open again for the next attempt", "verifying": "The study goes on"}
# Their reason says the same, in a sentence.
SAID = ("grew", "updated", "held", "fading", "decayed")
# What only a person does: nobody needs to be mentioned.
BY_PERSON = ("acknowledged", "pulled", "adapted")
SOMEBODY = "somebody on this page"
MAILS = {
    "opened": "it opened",
    "grew": "it grew",
    "reopened": "it came back",
    "cleared": "it is over",
    "opened-and-cleared": "it opened and is over",
    "plan-due": "its plan is due",
    "look-due": "its change will be judged this week",
    "verdict": "the verdict on its change",
    "held": "the gain holds",
    "fading": "part of the gain may be lost",
    "decayed": "the gain is lost",
    "escalated": "nobody acknowledged it in time",
    "cord": "somebody pulled the cord",
}
WITHDRAWN_MAIL = "it is withdrawn"
RESULTS = {
    "waiting": "waiting, not sent yet",
    "dropped": "not sent, as it was out of date, or not wanted",
    "bounced": "sent, and returned",
}
FAILURES = ("refused", "waiting", "bounced")


@dataclass(frozen=True)
class HistoryRow:
    """A change of the ticket, or a mail about it. `seq`: number of the change; None for a mail.

    `until`: end of a snooze. `shifts`: what late events changed about the problem.
    """

    at: datetime
    what: str
    why: str | None
    is_failure: bool = False
    seq: int | None = None
    until: datetime | None = None
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True)
class Shift:
    """One instant of the problem that late events moved: `began 07:50, shown as 06:50 before`; None: not over."""

    verb: str
    now: datetime | None
    before: datetime | None


def history_rows(
    changes: Sequence[Record], mails: Sequence[Record], counted: Callable[[int], str], opened: str = ""
) -> list[HistoryRow]:
    """Changes and mails, newest first. What happened at one instant keeps its order, a mail after its change.

    `counted`: the count of such a problem in words. `opened`: what it is called when it opens; empty: it begins.
    """
    rows = [_change_row(change, counted) for change in changes]
    if opened:
        rows = [replace(row, what=opened) if row.what == CHANGES["opened"] else row for row in rows]
    rows += [_mail_row(mail, changes) for mail in mails]
    return sorted(rows, key=lambda row: row.at)[::-1]


def since_version(changes: Sequence[Record], version: int, counted: Callable[[int], str]) -> list[HistoryRow]:
    """What changed after a version of the ticket, in order. `counted`: the count of its problem in words."""
    return [_change_row(change, counted) for change in changes if change["seq"] > version]


def _change_row(change: Record, counted: Callable[[int], str]) -> HistoryRow:
    until = change["snoozed_until"] if change["change"] == "snoozed" else None
    shifts = _shifts(change)
    return HistoryRow(
        change["at"],
        _what(change, shifts, counted),
        _why(change, shifts),
        seq=change["seq"],
        until=until,
        shifts=shifts,
    )


def _what(change: Record, shifts: Sequence[Shift], counted: Callable[[int], str]) -> str:
    """A change in words."""
    by = str(change["who"] or SOMEBODY)
    words, is_by_person = str(CHANGES.get(change["change"], change["change"])), change["actor"] == "person"
    if change["change"] == "grew" and change["reason"]:
        return f"{words} to {counted(int(change['reason'].removeprefix('to ')))}"
    if change["change"] == "updated":
        return "Late events changed it" if shifts else _sentence(change["reason"]) or words
    if change["change"] == "closed":
        return _closing(change)
    if change["change"] == "reopened" and is_by_person:
        return f"Reopened by {by}"
    if change["change"] == "reopened" and shifts:
        return "Late events show that the problem was not over"
    if change["change"] in ("reopened", "verifying") and change["reason"] and not is_by_person:
        return AGAIN[change["change"]]
    if not is_by_person or (change["change"] in BY_PERSON and not change["who"]):
        return words
    if change["change"] == "linked" and not change["reason"]:
        return f"The link to an issue was removed by {by}"
    if change["change"] == "acknowledged":
        return f"{by} has seen it"
    return f"{words} ({by})" if change["change"] in BY_PERSON else f"{words} by {by}"


def _sentence(reason: str | None) -> str:
    return reason[:1].upper() + reason[1:] if reason else ""


def _closing(change: Record) -> str:
    """`Closed by somebody on this page as “given up”`"""
    words = OUTCOMES.get(TicketOutcome(change["outcome"])) if change["outcome"] else None
    if change["actor"] == "person":
        return f"Closed by {change['who'] or SOMEBODY}" + (f" as “{words}”" if words else "")
    return f"Closed: {words}" if words else "Closed"


def _why(change: Record, shifts: Sequence[Shift]) -> str | None:
    if change["change"] in SAID or shifts:
        return None
    if change["change"] == "reopened" and change["actor"] != "person":
        return None
    reason: str | None = change["reason"]
    return reason


def _shifts(change: Record) -> tuple[Shift, ...]:
    """What late events moved."""
    if change["was"] is None or change["became"] is None:
        return ()
    was, became = ProblemInterval.model_validate(change["was"]), ProblemInterval.model_validate(change["became"])
    shifts = []
    if was.opened_at != became.opened_at:
        shifts.append(Shift("began", became.opened_at, was.opened_at))
    if was.cleared_at is not None and was.cleared_at != became.cleared_at:
        shifts.append(Shift("was over", became.cleared_at, was.cleared_at))
    return tuple(shifts)


def _mail_row(mail: Record, changes: Sequence[Record]) -> HistoryRow:
    result = mail["result"]
    what = f"Mail to the {mail['role'] or 'owner'}: {RESULTS.get(result, result)} ({_about(mail, changes)})"
    return HistoryRow(mail["at"], what, None if result == "sent" else mail["detail"], result in FAILURES)


def _about(mail: Record, changes: Sequence[Record]) -> str:
    """What a mail is about. Problems that are over and problems that are withdrawn share one reason."""
    ends = [change for change in changes if change["change"] == "cleared" or _is_withdrawal(change)]
    before = [change for change in ends if change["recorded_at"] <= mail["at"]] or ends
    reason: str = mail["reason"]
    if reason == "cleared" and before and _is_withdrawal(before[-1]):
        return WITHDRAWN_MAIL
    return MAILS.get(reason, reason)


def _is_withdrawal(change: Record) -> bool:
    return bool(change["change"] == "closed" and change["outcome"] == TicketOutcome.RETRACTED)
