"""The due dates of tickets as events of a calendar. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

from services.tickets.calendar.ical import DayEvent
from services.tickets.domain.seal import SealedPlan
from services.tickets.domain.ticket import Ticket
from services.tickets.study.change_weeks import looks_of
from shared.contracts.tickets import TicketState

_CHANGING = (TicketState.PLANNED, TicketState.DOING)


@dataclass(frozen=True)
class PlannedTicket:
    """A ticket, its title, and the plan that is in force or was studied."""

    ticket: Ticket
    title: str
    sealed: SealedPlan


@dataclass(frozen=True)
class DueDates:
    """`url`: address of the pages; `host`: its name, for ids; `zone`: of the days."""

    url: str
    host: str
    zone: str

    def of(self, due: PlannedTicket) -> Iterator[DayEvent]:
        """The days of the plan while it is carried out, then its looks, then the verdict until somebody decides."""
        if due.ticket.state in _CHANGING:
            yield from self._plan(due)
        elif due.ticket.state is TicketState.VERIFYING:
            yield from self._looks(due)
        elif due.ticket.closed_at is not None:
            day = due.ticket.closed_at.astimezone(ZoneInfo(self.zone)).date()
            yield self._of_ticket(due, "verdict", day, "Decide on the verdict", "The study has ended. Decide on it.")

    def _plan(self, due: PlannedTicket) -> Iterator[DayEvent]:
        plan = due.sealed.plan
        for number, task in enumerate(plan.tasks, 1):
            yield self._of_plan(due, f"task-{number}", task.by, f"Task: {task.what}", f"{task.what}\n{task.who}")
        yield self._of_plan(due, "change", plan.change_date, f"Change: {plan.change}", plan.change)

    def _looks(self, due: PlannedTicket) -> Iterator[DayEvent]:
        for number, day in enumerate(looks_of(due.sealed), 1):
            text = f"The weeks of look {number} at the change are over:\n{due.sealed.plan.change}"
            yield self._of_plan(due, f"look-{number}", day, "A look at the change", text)

    def _of_plan(self, due: PlannedTicket, what: str, day: date, summary: str, text: str) -> DayEvent:
        """It stays as it is until the plan is sealed anew."""
        event = self._of_ticket(due, what, day, summary, text)
        return replace(event, changed_at=due.sealed.sealed_at, sequence=due.sealed.number - 1)

    def _of_ticket(self, due: PlannedTicket, what: str, day: date, summary: str, text: str) -> DayEvent:
        """It may move with each change of the ticket."""
        ticket = due.ticket
        return DayEvent(
            self._uid(due, what),
            day,
            f"{summary} ({due.title})",
            f"{text}\n\nTicket {ticket.id}: {due.title}",
            self._address(due),
            ticket.changed_at,
            ticket.seq,
        )

    def _uid(self, due: PlannedTicket, what: str) -> str:
        ticket = due.ticket
        return f"ticket-{ticket.id}-{ticket.mark}-{due.sealed.cycle}-{what}@{self.host}"

    def _address(self, due: PlannedTicket) -> str:
        return f"{self.url}/tickets/{due.ticket.id}?of={due.ticket.mark}"
