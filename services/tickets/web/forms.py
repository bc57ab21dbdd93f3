"""The forms of the ticket page, and the commands that they give."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo
from starlette.requests import Request

from services.tickets.changes import Command
from services.tickets.domain import lifecycle
from services.tickets.domain.lifecycle import NotPossibleError
from shared.contracts.tickets import TicketOutcome

MAX_LETTERS = 2000
# A snoozed ticket comes back at this time, in the policy's zone.
BACK_AT = time(8)


def _reason(text: str) -> str:
    # Postgres keeps no NUL character. A browser sends a line break as two letters and counts it as one.
    reason = text.replace("\x00", "").replace("\r\n", "\n")
    if len(reason) > MAX_LETTERS:
        raise ValueError(f"The reason has {len(reason):,} letters; write it with {MAX_LETTERS:,} at most.")
    return reason


def _until(text: str, info: ValidationInfo) -> datetime:
    """The morning of a day in the policy's zone."""
    if not text.strip():
        raise ValueError("Choose a day in the calendar.")
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007
        return datetime.combine(day, BACK_AT, ZoneInfo((info.context or {})["zone"])).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no day; choose one in the calendar, as 2026-03-31.") from None


def _outcome(text: str) -> TicketOutcome | None:
    return next((outcome for outcome in TicketOutcome if outcome.value == text), None)


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
        return lifecycle.acknowledge


class SnoozeForm(Form):
    until: Annotated[datetime, BeforeValidator(_until)]
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, now: lifecycle.snooze(ticket, self.until, now, self.reason or None)


class CloseForm(Form):
    reason: Reason
    outcome: Annotated[TicketOutcome | None, BeforeValidator(_outcome)]

    @property
    def command(self) -> Command:
        return lambda ticket, now: lifecycle.close(ticket, self.outcome, self.reason, now)


FORMS: Mapping[str, type[Form]] = {"acknowledge": AcknowledgeForm, "snooze": SnoozeForm, "close": CloseForm}


def command_of(action: str, form: Mapping[str, str], zone: str) -> Command:
    """What a form asks of the ticket. `zone`: the policy's. Raises NotPossibleError for what cannot be read."""
    if action not in FORMS:
        raise NotPossibleError("There is no such action; use the buttons of this page.")
    try:
        fields = {name: form.get(name, "") for name in FORMS[action].model_fields}
        return FORMS[action].model_validate(fields, context={"zone": zone}).command
    except ValidationError as error:
        raise _not_possible(error) from None


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
