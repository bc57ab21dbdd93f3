"""What an issue in Jira shows of the ticket that is linked to it. It names nobody, and repeats no person's words."""

from __future__ import annotations

from pydantic import Field

from shared.contracts.envelope import Message, Words
from shared.contracts.tickets import TicketChange, TicketData, TicketState


class IssueLink(Message):
    """A ticket as its issue shows it."""

    issue: Words = Field(description="address of the issue")
    title: Words
    sentence: Words
    url: Words = Field(description="address of the ticket's page")
    is_closed: bool


def issue_link(facts: TicketData, was: TicketState | None) -> IssueLink | None:
    """What a change of a ticket is to an issue; None: nothing new. `was`: the ticket's state before, where known."""
    if facts.issue is None:
        return None
    is_closed = facts.state is TicketState.CLOSED
    if facts.change is not TicketChange.LINKED and is_closed == (was is TicketState.CLOSED):
        return None
    return IssueLink(
        issue=facts.issue,
        title=facts.title,
        sentence=facts.sentence,
        url=facts.url,
        is_closed=is_closed,
    )
