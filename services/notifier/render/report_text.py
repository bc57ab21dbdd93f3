"""The weekly report in words."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.notifier.domain.report import (
    AlarmBudget,
    CordReport,
    PipelineReport,
    ReportData,
    ReportedLook,
    ReportedTicket,
    ReportedVerdict,
)
from services.notifier.render.reason_text import in_sentence
from shared.contracts.tickets import TicketState
from shared.wording.quantities import age

NOTHING = "There is nothing to chase: no ticket is open, and no change is being judged."
_STATES = {
    TicketState.OPEN: "waits for somebody to acknowledge it",
    TicketState.ACKNOWLEDGED: "acknowledged, without a plan",
    TicketState.SNOOZED: "snoozed",
    TicketState.PLANNED: "planned, not begun",
    TicketState.DOING: "its change is being carried out",
    TicketState.VERIFYING: "its change is being studied",
}
_VERDICTS = {"verified": "verified", "not-shown": "not shown", "restored": "restored"}
_DAY = 86_400


def report_subject(report: ReportData) -> str:
    """Every report is a thread of its own: `[Andon] Week to 9 March: 3 open tickets`"""
    waiting = sum(one.waiting_total for one in report.pipelines)
    count = "nothing to chase" if report.is_quiet else f"{waiting} open ticket{'' if waiting == 1 else 's'}"
    return f"[Andon] Week to {_day(_local(report.end, report.zone))}: {count}"


def report_values(report: ReportData, listed: int) -> dict[str, Any]:
    """What the templates need. `listed`: how many entries a list shows."""
    begin, end = (_day(_local(moment, report.zone)) for moment in (report.begin, report.end))
    return {
        "title": f"The week from {begin} to {end}",
        "nothing": NOTHING if report.is_quiet else "",
        "pipelines": [_pipeline(one, report, listed) for one in report.pipelines],
        "charts": [(f"chart{number}", chart) for number, chart in enumerate(report.charts)],
        "zone": report.zone,
    }


def _pipeline(one: PipelineReport, report: ReportData, listed: int) -> dict[str, Any]:
    return {
        "name": one.name,
        "waiting": [(ticket, _waiting(ticket, report)) for ticket in one.waiting[:listed]],
        "more_waiting": one.waiting_total - len(one.waiting[:listed]),
        "verdicts": [(verdict, _verdict(verdict)) for verdict in one.verdicts[:listed]],
        "more_verdicts": one.verdicts_total - len(one.verdicts[:listed]),
        "looks": [(look, _look(look)) for look in one.looks[:listed]],
        "more_looks": one.looks_total - len(one.looks[:listed]),
        "quiet": one.is_quiet and not report.is_quiet,
        "cords": _cords(one.cords) if one.cords else "",
        "budget": _budget(one.budget) if one.budget else "",
    }


def _waiting(ticket: ReportedTicket, report: ReportData) -> str:
    """`waits for somebody to acknowledge it, for 12 days`"""
    if ticket.state is TicketState.SNOOZED and ticket.snoozed_until is not None:
        return f"snoozed until {_day(_local(ticket.snoozed_until, report.zone))}"
    days = max(0, int((report.end - ticket.since).total_seconds()) // _DAY)
    how_long = "since today" if days == 0 else f"for {days} day{'' if days == 1 else 's'}"
    return f"{_STATES[ticket.state]}, {how_long}"


def _verdict(one: ReportedVerdict) -> str:
    return ". ".join(part for part in (_VERDICTS.get(one.outcome, one.outcome).capitalize(), one.sentence) if part)


def _look(one: ReportedLook) -> str:
    return f"{one.on:%A} {one.on.day} {one.on:%B}: did {in_sentence(one.measure)} get better?"


def _cords(one: CordReport) -> str:
    """`Pulled cords: 1 was answered in this week, after 4 hours; 1 still waits for an answer, for 3 days.`"""
    found = []
    if one.answered == 1:
        found.append(f"1 was answered in this week, after {age(one.longest or 0)}")
    elif one.answered:
        waits = f"the median wait was {age(one.median or 0)}, the longest {age(one.longest or 0)}"
        found.append(f"{one.answered} were answered in this week: {waits}")
    if one.waiting:
        longest = f"{'for' if one.waiting == 1 else 'the longest for'} {age(one.waiting_longest or 0)}"
        found.append(f"{one.waiting} still wait{'s' if one.waiting == 1 else ''} for an answer, {longest}")
    return f"Pulled cords: {'; '.join(found)}."


def _budget(one: AlarmBudget) -> str:
    """What statistical rules opened, beside what chance alone brings."""
    tickets = {0: "no ticket", 1: "1 ticket"}.get(one.opened, f"{one.opened} tickets")
    return (
        f"False alarms: in 91 days the rules on weekly charts and learned limits opened {tickets}. The policy accepts"
        f" that chance alone opens {one.allowed} in that time."
    )


def _local(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def _day(on: date) -> str:
    return f"{on.day} {on:%B}"
