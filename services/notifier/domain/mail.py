"""A mail and the notices that it carries, as a sender has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.notices import NoticeReason
from shared.contracts.tickets import TicketData


@dataclass(frozen=True)
class Notice:
    """One thing to report about one ticket. `seq`: the change it was written for; `facts`: the ticket as of the latest
    change that it covers."""

    ticket: int
    seq: int
    reason: NoticeReason
    facts: TicketData

    @property
    def name(self) -> str:
        """Identifies the notice on the topic `improvement.notices`."""
        return f"{self.ticket}-{self.seq}"


@dataclass(frozen=True)
class Mail:
    """A mail that this sender has claimed until `claim`. An empty `to_mail`: the policy names no owner."""

    id: int
    message_id: str
    to_name: str
    to_mail: str
    created_at: datetime
    attempts: int
    claim: datetime
    notices: tuple[Notice, ...]


def message_id(ticket: int, seq: int, domain: str) -> str:
    """The Message-ID of a mail about one change of a ticket: the same however often it is sent."""
    return f"<andon.ticket-{ticket}.{seq}@{domain}>"
