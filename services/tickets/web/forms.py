"""The forms of the ticket page, and the commands that they give."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo
from starlette.requests import Request

from services.tickets.changes import Command
from services.tickets.domain import lifecycle
from services.tickets.domain.faults import NotPossibleError
from services.tickets.web.zones import is_zone
from shared.contracts.tickets import TicketOutcome

MAX_LETTERS = 2000
# A snoozed ticket comes back at this time, in the zone of the page with the form.
BACK_AT = time(8)
# Versions are counted from 1; Postgres keeps them as an int.
_MAX_VERSION = 2**31 - 1


def _reason(text: str) -> str:
    # Postgres keeps no NUL character. A browser sends a line break as two letters and counts it as one.
    reason = text.replace("\x00", "").replace("\r\n", "\n")
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


def _outcome(text: str) -> TicketOutcome | None:
    return next((outcome for outcome in TicketOutcome if outcome.value == text), None)


def _yes(text: str) -> bool:
    return text == "yes"


Reason = Annotated[str, AfterValidator(_reason)]


class Form(BaseModel):
    """One form. A field that was not sent is empty, as browsers send it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @property
    @abstractmethod
    def command(self) -> Command:
        """What the form asks of the ticket."""


class AcknowledgeForm(Form):
    @property
    def command(self) -> Command:
        return lambda ticket, now, _: lifecycle.acknowledge(ticket, now)


class SnoozeForm(Form):
    until: Annotated[datetime, BeforeValidator(_until)]

    @property
    def command(self) -> Command:
        return lambda ticket, now, _: lifecycle.snooze(ticket, self.until, now)


class CloseForm(Form):
    reason: Reason
    outcome: Annotated[TicketOutcome | None, BeforeValidator(_outcome)]
    # A second yes, where the problem goes on.
    confirmed: Annotated[bool, BeforeValidator(_yes)]

    @property
    def command(self) -> Command:
        return lambda ticket, now, _: lifecycle.close(ticket, self.outcome, self.reason, now, self.confirmed)


class ReopenForm(Form):
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, now, is_newest: lifecycle.reopen(ticket, self.reason, now, is_newest)


class UndoForm(Form):
    @property
    def command(self) -> Command:
        return lifecycle.undo


FORMS: Mapping[str, type[Form]] = {
    "acknowledge": AcknowledgeForm,
    "snooze": SnoozeForm,
    "close": CloseForm,
    "reopen": ReopenForm,
    "undo": UndoForm,
}


@dataclass(frozen=True)
class Wish:
    """What a form asks of a ticket, and which version of the ticket its page showed."""

    command: Command
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
        fields = {name: form.get(name, "") for name in FORMS[action].model_fields}
        asked = FORMS[action].model_validate(fields, context={"zone": zone if is_zone(zone) else policy_zone})
    except ValidationError as error:
        raise _not_possible(error) from None
    return Wish(asked.command, version)


def version_of(form: Mapping[str, str], name: str = "version") -> int | None:
    """The version of the ticket, or of what `name` says, that a form was made from; None where it does not tell one."""
    text = form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_VERSION))):
        return None
    return min(int(text), _MAX_VERSION)


def _not_possible(error: ValidationError) -> NotPossibleError:
    """The first fault of a form, with its field."""
    first = error.errors(include_url=False)[0]
    return NotPossibleError(str(first["ctx"]["error"]), str(first["loc"][0]))


def is_same_origin(request: Request) -> bool:
    """Whether a form comes from these pages. A program that is no browser has no session to be misused."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
