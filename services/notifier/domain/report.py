"""The weekly report as data: what it says about each pipeline of its reader. Pure."""

from __future__ import annotations

from datetime import date

from shared.contracts.envelope import Message, Moment
from shared.contracts.tickets import TicketState

# Lists end here, and say how many more there are.
MAX_LISTED = 12
MAX_CHARTS = 3


class ReportedTicket(Message):
    """A ticket that is not closed. `since`: when it came into its state."""

    ticket: int
    title: str
    url: str
    state: TicketState
    since: Moment
    opened_at: Moment
    snoozed_until: Moment | None = None


class ReportedVerdict(Message):
    """A verdict of the week. `sentence`: of the study, in words."""

    ticket: int
    title: str
    url: str
    outcome: str
    sentence: str


class ReportedLook(Message):
    """A look of a study in the week to come."""

    ticket: int
    title: str
    url: str
    measure: str
    on: date


class ChartImage(Message):
    """A ticket's chart, as of the ticket's last mail."""

    ticket: int
    title: str
    url: str
    png: str
    alt: str


class AlarmBudget(Message):
    """Openings of statistical rules in 91 days, beside how many chance alone brings at most."""

    opened: int
    allowed: str


class CordReport(Message):
    """How long pulled cords waited for an answer: the `answered` ones of the week, and those that wait.

    Times in seconds, null where there is none. Of the system: nothing says who answered.
    """

    answered: int
    median: float | None = None
    longest: float | None = None
    waiting: int
    waiting_longest: float | None = None


class PipelineReport(Message):
    """One pipeline. `waiting`: its open tickets, that waited longest first, of `waiting_total`.

    `cords`: null where no pulled cord waited.
    """

    name: str
    waiting: tuple[ReportedTicket, ...] = ()
    waiting_total: int = 0
    verdicts: tuple[ReportedVerdict, ...] = ()
    verdicts_total: int = 0
    looks: tuple[ReportedLook, ...] = ()
    looks_total: int = 0
    budget: AlarmBudget | None = None
    cords: CordReport | None = None

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to chase."""
        return not (self.waiting_total or self.verdicts_total or self.looks_total)


class ReportData(Message):
    """The whole report of one reader. `begin` to `end`: what it covers."""

    begin: Moment
    end: Moment
    zone: str
    pipelines: tuple[PipelineReport, ...]
    charts: tuple[ChartImage, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether there is nothing to chase in any pipeline."""
        return all(one.is_quiet for one in self.pipelines)
