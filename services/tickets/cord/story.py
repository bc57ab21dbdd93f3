"""What became of a pull, in the words of the page that its receipt opens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.tickets.store.cord_pulls import StoredPull
from services.tickets.web.outcomes import OUTCOMES
from services.tickets.web.times import ago
from shared.contracts.tickets import TicketChange, TicketOutcome
from shared.postgres.pool import Executor, Record

# The first one is the pull itself; what is not here says nothing to who pulled.
WORDS = {
    TicketChange.PULLED: "The cord was pulled again",
    TicketChange.ACKNOWLEDGED: "Somebody is looking after it",
    TicketChange.SNOOZED: "It was put off",
    TicketChange.WOKE: "It needs somebody again",
    TicketChange.PLANNED: "A change is planned",
    TicketChange.RESCHEDULED: "The change was moved to another day",
    TicketChange.WITHDRAWN: "The plan was taken back",
    TicketChange.STARTED: "The change is being prepared",
    TicketChange.VERIFYING: "The change is in force. The weeks that follow are compared with those before",
    TicketChange.ADOPTED: "The change stays",
    TicketChange.ADAPTED: "The change is being improved",
    TicketChange.DROPPED: "The change was given up",
    TicketChange.HELD: "The improvement has lasted",
    TicketChange.FADING: "The improvement is getting smaller",
    TicketChange.DECAYED: "The improvement was lost",
    TicketChange.UNDONE: "The last step was taken back",
    TicketChange.REOPENED: "It was opened again",
}
VERDICTS = {
    TicketOutcome.VERIFIED: "The numbers show that the change worked",
    TicketOutcome.NOT_SHOWN: "The numbers do not show that the change worked",
    TicketOutcome.RESTORED: "It is as it was before; that the change did it is not shown",
}
# Reasons that people wrote for whoever follows the ticket. What other pulls say is not shown.
_WITH_REASON = (TicketChange.RESCHEDULED, TicketChange.WITHDRAWN, TicketChange.DROPPED, TicketChange.CLOSED)
_SEALED = (TicketChange.PLANNED, TicketChange.RESCHEDULED)
_CHANGES = "SELECT seq, change, at, reason, outcome FROM change WHERE ticket = $1 ORDER BY seq"
_PLANNED = """
SELECT content::jsonb -> 'plan' ->> 'change' AS change FROM sealed_plan WHERE ticket = $1 ORDER BY cycle, number
"""


@dataclass(frozen=True)
class StoryLine:
    """One thing that happened. `why`: in the words of who did it."""

    at: datetime
    what: str
    why: str | None = None


async def story(executor: Executor, pull: StoredPull) -> Sequence[StoryLine]:
    """What happened to the ticket since the pull, in order."""
    changes = await executor.fetch(_CHANGES, pull.ticket)
    plans = [row["change"] for row in await executor.fetch(_PLANNED, pull.ticket)]
    return list(_lines(changes, plans, pull))


def _lines(changes: Sequence[Record], plans: Sequence[str], pull: StoredPull) -> Iterator[StoryLine]:
    sealed = iter(plans)
    for row in changes:
        change = TicketChange(row["change"])
        # Each seal of a plan is a change of the ticket.
        plan = next(sealed, None) if change in _SEALED else None
        if row["seq"] == pull.seq:
            yield StoryLine(row["at"], "You pulled the cord")
        elif row["seq"] > pull.seq and (what := _what(change, row["outcome"])):
            yield StoryLine(row["at"], what, _why(change, row["reason"], plan))


def _what(change: TicketChange, outcome: str | None) -> str:
    ended = TicketOutcome(outcome) if outcome else None
    if change is TicketChange.VERDICT and ended in VERDICTS:
        return VERDICTS[ended]
    if change is TicketChange.CLOSED:
        return f"Closed: {OUTCOMES[ended]}" if ended in OUTCOMES else "Closed"
    return WORDS.get(change, "")


def _why(change: TicketChange, reason: str | None, plan: str | None) -> str | None:
    if change is TicketChange.PLANNED:
        return plan
    return reason if change in _WITH_REASON else None


def answered(pull: StoredPull, now: datetime) -> str:
    """Whether somebody answered, and after how long."""
    if not pull.waited:
        return "Somebody was at work on it already."
    if pull.answered_at is not None:
        return f"Somebody answered {_after(pull.pulled_at, pull.answered_at)}."
    return f"Nobody has answered yet: it was pulled {_ago(pull.pulled_at, now)}."


def _after(since: datetime, until: datetime) -> str:
    return f"after {ago(since, until)}"


def _ago(since: datetime, now: datetime) -> str:
    return f"{ago(since, now)} ago"
