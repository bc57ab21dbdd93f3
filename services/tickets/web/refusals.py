"""What a page shows for a form that was not carried out: a fault, what changed meanwhile, or a question."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.tickets.domain.faults import ChangedMeanwhileError, NotPossibleError, TooLateError, UnconfirmedError
from services.tickets.domain.ticket import Ticket
from services.tickets.web.forms import FORMS, version_of
from services.tickets.web.history import HistoryRow, since_version
from shared import wording
from shared.contracts.tickets import TicketState
from shared.postgres.pool import Record

# The button that confirms the form.
CONFIRM = {
    "acknowledge": "Acknowledge it anyway",
    "snooze": "Snooze it anyway",
    "close": "Close it anyway",
    "reopen": "Reopen it anyway",
    "undo": "Undo it anyway",
    "start": "Start the change anyway",
    "reschedule": "Move the date anyway",
    "withdraw": "Withdraw the plan anyway",
    "decide": "Decide it anyway",
    "link": "Link it anyway",
}


@dataclass(frozen=True)
class Refusal:
    """A form that was not carried out. `form`: what was written in it."""

    error: NotPossibleError | None = None
    action: str = ""
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """200: nothing was refused; 409: the ticket is other than the form takes it to be; 422: the form is wrong."""
        if self.error is None:
            return 200
        return 409 if isinstance(self.error, TooLateError | UnconfirmedError) else 422

    @property
    def fields(self) -> Collection[str]:
        """The fields of the form that was sent."""
        return FORMS[self.action].model_fields if self.action in FORMS else ()

    @property
    def anchor(self) -> str:
        """The id of the field to correct on the ticket's page; empty: none."""
        return f"{self.action}-{self.error.field}" if self.error is not None and self.error.field else ""


NONE_REFUSED = Refusal()


@dataclass(frozen=True)
class Confirmation:
    """What changed since the form's page was made, and the fields that confirm the form if it still fits.

    `warnings`: what the form would do beside what it says. `fields`: of the confirming form, made from the ticket as it
    is now.
    """

    meanwhile: Sequence[HistoryRow]
    is_asked: bool
    has_changed: bool
    warnings: Sequence[str]
    action: str
    button: str
    fields: Mapping[str, str]


def question_of(refusal: Refusal, ticket: Ticket, changes: Sequence[Record]) -> Confirmation | None:
    """What to show of a refusal; None if nothing changed and there is no question."""
    version = version_of(refusal.form)
    if refusal.error is None or version is None:
        return None
    meanwhile = since_version(changes, version, wording.of(ticket.problem.kind).counted)
    is_asked = isinstance(refusal.error, UnconfirmedError)
    if not (meanwhile or is_asked):
        return None
    return Confirmation(
        meanwhile,
        is_asked,
        isinstance(refusal.error, ChangedMeanwhileError) or bool(meanwhile),
        _warnings(ticket) if refusal.action == "close" else (),
        refusal.action,
        CONFIRM.get(refusal.action, ""),
        _fields(refusal, ticket) if is_asked else {},
    )


def _warnings(ticket: Ticket) -> Sequence[str]:
    """What closing a ticket does not do, or cuts short."""
    goes_on = "The problem goes on: closing the ticket does not end it, and no mail tells of it while it lasts."
    plan = {
        TicketState.PLANNED: "The plan ends unused: nothing is compared with its prediction.",
        TicketState.DOING: "The change will not be studied: what it did stays unknown.",
        TicketState.VERIFYING: "The study ends without a verdict: what the change did stays unknown.",
    }
    ended = plan.get(ticket.state)
    return [goes_on] * ticket.goes_on + ([ended] if ended else [])


def _fields(refusal: Refusal, ticket: Ticket) -> Mapping[str, str]:
    """The fields of the form again, with the ticket's version and the confirmation."""
    known = {"list", "meeting", "zone", *FORMS[refusal.action].model_fields}
    kept = {name: value for name, value in refusal.form.items() if name in known}
    return kept | {"version": str(ticket.seq), "confirmed": "yes"}
