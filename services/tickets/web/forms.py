"""The forms of the ticket page, and the commands that they give.

Fields of every form: `version` (the ticket's `seq`), `zone`, `confirmed` (yes, where a question was asked). By action:

- acknowledge, undo, start: no more.
- snooze: `until`. close: `outcome`, `reason`. reopen, withdraw: `reason`.
- draft: the fields of a draft, see `domain/draft.py`, and `draft_version` (0: none was saved).
- seal: `draft_version`. reschedule: `change_date`, `reason`. decide: `decision` (adopted, adapted, dropped), `reason`.
- link: `issue`, the address of an issue in Jira; empty: none any more.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo
from starlette.requests import Request

from services.tickets.changes import Command
from services.tickets.domain import commands, planning
from services.tickets.domain.draft import PlanDraft, draft_of, parse_day
from services.tickets.domain.faults import NotPossibleError
from services.tickets.domain.planning import DECISIONS
from services.tickets.domain.typed import storable
from services.tickets.plan_changes import TicketWriter
from services.tickets.web.zones import is_zone
from shared.contracts.tickets import TicketChange, TicketOutcome
from shared.postgres.pool import Connection

MAX_LETTERS = 2000
# A snoozed ticket comes back at this time, in the zone of the page with the form.
BACK_AT = time(8)
# Versions are counted from 1; Postgres keeps them as an int.
_MAX_VERSION = 2**31 - 1


def _reason(text: str) -> str:
    reason = storable(text)
    if len(reason) > MAX_LETTERS:
        raise ValueError(f"The reason has {len(reason):,} letters; write it with {MAX_LETTERS:,} at most.")
    return reason


def _until(text: str, info: ValidationInfo) -> datetime:
    """The morning of a day in the zone of the page."""
    if not text.strip():
        raise ValueError("Choose a day in the calendar.")
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
        return datetime.combine(day, BACK_AT, ZoneInfo((info.context or {})["zone"])).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no day; choose one in the calendar, as 2026-03-31.") from None


def _day(text: str) -> date:
    day = parse_day(text)
    if day is None:
        raise ValueError(f"{text[:40]!r} is no day; choose one in the calendar, as 2026-03-31.")
    return day


def _version(text: str) -> int:
    version = _number(text)
    if version is None:
        raise ValueError("The form does not say which version of the plan it is about; use the one below.")
    return version


def _decision(text: str) -> TicketChange | None:
    return next((decision for decision in DECISIONS if decision.value == text), None)


def _outcome(text: str) -> TicketOutcome | None:
    return next((outcome for outcome in TicketOutcome if outcome.value == text), None)


def _yes(text: str) -> bool:
    return text == "yes"


Reason = Annotated[str, AfterValidator(_reason)]
Version = Annotated[int, BeforeValidator(_version)]


class Form(BaseModel):
    """One form. A field that was not sent is empty, as browsers send it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def fields_of(cls, form: Mapping[str, str]) -> Mapping[str, Any]:
        """The values of the form's own fields."""
        return {name: form.get(name, "") for name in cls.model_fields}

    @abstractmethod
    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int, version: int) -> bool:
        """Do what the form asks of the ticket; False: there is no such ticket. Raises NotPossibleError."""


class CommandForm(Form):
    """A form that asks for one step of the ticket alone."""

    @property
    @abstractmethod
    def command(self) -> Command:
        """What the form asks of the ticket."""

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int, version: int) -> bool:
        return await writer.changes.act(connection, number, self.command, version) is not None


class AcknowledgeForm(CommandForm):
    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.acknowledge(ticket, at.now)


class SnoozeForm(CommandForm):
    until: Annotated[datetime, BeforeValidator(_until)]

    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.snooze(ticket, self.until, at.now)


class CloseForm(CommandForm):
    reason: Reason
    outcome: Annotated[TicketOutcome | None, BeforeValidator(_outcome)]
    # A second yes, where the problem goes on.
    confirmed: Annotated[bool, BeforeValidator(_yes)]

    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.close(ticket, self.outcome, self.reason, at.now, self.confirmed)


class ReopenForm(CommandForm):
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.reopen(ticket, self.reason, at.now, at.is_newest)


class UndoForm(CommandForm):
    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.undo(ticket, at.now, at.is_newest)


class DraftForm(Form):
    draft: PlanDraft
    draft_version: Version

    @classmethod
    def fields_of(cls, form: Mapping[str, str]) -> Mapping[str, Any]:
        return {"draft": draft_of(form), "draft_version": form.get("draft_version", "")}

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int, version: int) -> bool:
        return await writer.plans.save_draft(connection, number, self.draft, self.draft_version) is not None


class SealForm(Form):
    draft_version: Version
    confirmed: Annotated[bool, BeforeValidator(_yes)]

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int, version: int) -> bool:
        plans, confirmed = writer.plans, self.confirmed
        ticket = await plans.seal(connection, number, version, self.draft_version, is_confirmed=confirmed)
        return ticket is not None


class RescheduleForm(Form):
    change_date: Annotated[date, BeforeValidator(_day)]
    reason: Reason
    confirmed: Annotated[bool, BeforeValidator(_yes)]

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int, version: int) -> bool:
        asked = connection, number, version, self.change_date, self.reason
        return await writer.plans.reschedule(*asked, is_confirmed=self.confirmed) is not None


class StartForm(CommandForm):
    @property
    def command(self) -> Command:
        return lambda ticket, at: planning.start(ticket, at.now, at.today)


class WithdrawForm(CommandForm):
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, at: planning.withdraw(ticket, self.reason, at.now, at.today)


class DecideForm(CommandForm):
    decision: Annotated[TicketChange | None, BeforeValidator(_decision)]
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, at: planning.decide(ticket, self.decision, self.reason, at.now, at.is_newest)


class LinkForm(Form):
    issue: str

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int, version: int) -> bool:
        issue = writer.issues.address(self.issue)
        command: Command = lambda ticket, at: commands.link(ticket, issue, at.now)  # noqa: E731
        return await writer.changes.act(connection, number, command, version) is not None


FORMS: Mapping[str, type[Form]] = {
    "acknowledge": AcknowledgeForm,
    "snooze": SnoozeForm,
    "close": CloseForm,
    "reopen": ReopenForm,
    "undo": UndoForm,
    "draft": DraftForm,
    "seal": SealForm,
    "reschedule": RescheduleForm,
    "start": StartForm,
    "withdraw": WithdrawForm,
    "decide": DecideForm,
    "link": LinkForm,
}


@dataclass(frozen=True)
class Wish:
    """What a form asks of a ticket, and which version of the ticket its page showed."""

    form: Form
    version: int


def wish_of(action: str, form: Mapping[str, str], policy_zone: str) -> Wish:
    """What a form asks of the ticket. Raises NotPossibleError for what cannot be read."""
    if action not in FORMS:
        raise NotPossibleError("There is no such action; use the buttons of this page.")
    version = version_of(form)
    if version is None:
        raise NotPossibleError("The form does not say which version of the ticket it is about; use the one below.")
    zone = form.get("zone", "")
    try:
        fields = FORMS[action].fields_of(form)
        asked = FORMS[action].model_validate(fields, context={"zone": zone if is_zone(zone) else policy_zone})
    except ValidationError as error:
        raise _not_possible(error) from None
    return Wish(asked, version)


def version_of(form: Mapping[str, str]) -> int | None:
    """The version of the ticket that a form was made from; None where it does not tell one."""
    return _number(form.get("version", ""))


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_VERSION))):
        return None
    return min(int(text), _MAX_VERSION)


def _not_possible(error: ValidationError) -> NotPossibleError:
    """The first fault of a form, with its field."""
    first = error.errors(include_url=False)[0]
    place = [str(part) for part in first["loc"] if part != "draft"]
    field = f"task_{int(place[1]) + 1}_{place[2]}" if place[0] == "tasks" else place[0]
    text = str(first.get("ctx", {}).get("error", first["msg"]))
    return NotPossibleError(text if text[:1].isupper() else f"{field} {text}.", field)


def is_same_origin(request: Request) -> bool:
    """Whether a form comes from these pages. A program that is no browser has no session to be misused."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
