"""What the API can do to a ticket: the same as the forms of its page, with the same names of fields."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.tickets.changes import Command
from services.tickets.domain import commands, planning
from services.tickets.domain.draft import MAX_LETTERS, PlanDraft, Typed, parse_day
from services.tickets.plan_changes import TicketWriter
from shared.contracts.envelope import Moment
from shared.contracts.tickets import TicketChange, TicketOutcome
from shared.postgres.pool import Connection

Reason = Annotated[Typed, Field(description=f"at most {MAX_LETTERS} letters")]
Confirmed = Annotated[bool, Field(description="true: yes to the question of an answer 409")]


def _day(text: object) -> date:
    day = parse_day(text) if isinstance(text, str) else None
    if day is None:
        raise ValueError("is no day; write it as 2026-03-31")
    return day


Day = Annotated[date, BeforeValidator(_day)]
Version = Annotated[int, Field(ge=0, lt=2**31)]


class Action(BaseModel):
    """One request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @abstractmethod
    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int) -> bool:
        """Do it; False: there is no such ticket. Raises NotPossibleError."""


class VersionedAction(Action):
    """One request that names the ticket as it was decided on: nothing is overridden unseen."""

    version: Version | None = Field(
        None, description="the ticket's `seq` that this was decided on; needed where no If-Match names it"
    )

    @property
    def known_version(self) -> int:
        """The version, named or as If-Match has it."""
        assert self.version is not None  # noqa: S101 (requests without one are refused before)
        return self.version


class CommandAction(VersionedAction):
    """One step of the ticket alone."""

    @property
    @abstractmethod
    def command(self) -> Command:
        """What it asks of the ticket."""

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int) -> bool:
        return await writer.changes.act(connection, number, self.command, self.known_version) is not None


class Acknowledge(CommandAction):
    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.acknowledge(ticket, at.now)


class Snooze(CommandAction):
    until: Moment

    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.snooze(ticket, self.until, at.now)


class Close(CommandAction):
    outcome: TicketOutcome
    reason: Reason
    confirmed: Confirmed = False

    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.close(ticket, self.outcome, self.reason, at.now, self.confirmed)


class Reopen(CommandAction):
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.reopen(ticket, self.reason, at.now, at.is_newest)


class Undo(CommandAction):
    @property
    def command(self) -> Command:
        return lambda ticket, at: commands.undo(ticket, at.now, at.is_newest)


class Start(CommandAction):
    @property
    def command(self) -> Command:
        return lambda ticket, at: planning.start(ticket, at.now, at.today)


class Withdraw(CommandAction):
    reason: Reason

    @property
    def command(self) -> Command:
        return lambda ticket, at: planning.withdraw(ticket, self.reason, at.now, at.today)


class Decide(CommandAction):
    decision: Literal["adopted", "adapted", "dropped"]
    reason: Reason = ""

    @property
    def command(self) -> Command:
        decision = TicketChange(self.decision)
        return lambda ticket, at: planning.decide(ticket, decision, self.reason, at.now, at.is_newest)


class SaveDraft(Action):
    """The plan as written so far. It is not about a version of the ticket, which is at most acknowledged by it."""

    draft_version: Version = Field(description="the draft's version that this was made from; 0: there was none")
    draft: PlanDraft

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int) -> bool:
        return await writer.plans.save_draft(connection, number, self.draft, self.draft_version) is not None


class SealDraft(VersionedAction):
    draft_version: Version
    confirmed: Confirmed = False

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int) -> bool:
        plans, confirmed = writer.plans, self.confirmed
        ticket = await plans.seal(connection, number, self.known_version, self.draft_version, is_confirmed=confirmed)
        return ticket is not None


class Reschedule(VersionedAction):
    change_date: Day
    reason: Reason
    confirmed: Confirmed = False

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int) -> bool:
        asked = connection, number, self.known_version, self.change_date, self.reason
        return await writer.plans.reschedule(*asked, is_confirmed=self.confirmed) is not None


class Link(VersionedAction):
    issue: str = Field(
        max_length=MAX_LETTERS, description="https://HOST/browse/KEY-1, on a host that is allowed; empty: none"
    )

    async def carry_out(self, writer: TicketWriter, connection: Connection, number: int) -> bool:
        issue = writer.issues.address(self.issue)
        command: Command = lambda ticket, at: commands.link(ticket, issue, at.now)  # noqa: E731
        return await writer.changes.act(connection, number, command, self.known_version) is not None


# By their address below the ticket's.
ACTIONS: Mapping[str, type[Action]] = {
    "acknowledge": Acknowledge,
    "snooze": Snooze,
    "close": Close,
    "reopen": Reopen,
    "undo": Undo,
    "draft": SaveDraft,
    "seal": SealDraft,
    "reschedule": Reschedule,
    "start": Start,
    "withdraw": Withdraw,
    "decide": Decide,
    "link": Link,
}
SUMMARIES: Mapping[str, str] = {
    "acknowledge": "Say that somebody takes care of it",
    "snooze": "Snooze it until an instant",
    "close": "Close it with an outcome and a reason",
    "reopen": "Open a closed ticket again",
    "undo": "Undo a person's last change",
    "draft": "Save the draft of its plan, complete or not",
    "seal": "Seal the draft: the prediction is fixed before the change",
    "reschedule": "Move the change date before it has come, and seal anew",
    "start": "Begin to carry the plan out",
    "withdraw": "Withdraw the plan before its change date",
    "link": "Link it to an issue in Jira, or to none",
    "decide": "Decide on a verdict: adopt, adapt or drop the change",
}
