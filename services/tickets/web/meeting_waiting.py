"""Loads what waits for a decision: for the meeting's page, and for the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from services.tickets.domain.seal import SealedPlan
from services.tickets.store import meeting, plans
from services.tickets.store.meeting import WaitingTicket
from services.tickets.study.change_weeks import looks_of
from services.tickets.web import meeting_view
from services.tickets.web.meeting_view import Asked
from shared.contracts.tickets import TicketState
from shared.policy import Policy
from shared.postgres.pool import Connection


@dataclass(frozen=True)
class WaitingParts:
    """The tickets of each part of a meeting. By number, of those that are studied: their plan, and its next look."""

    parts: Mapping[Asked, Sequence[WaitingTicket]]
    sealed: Mapping[int, SealedPlan]
    looks: Mapping[int, date | None]


class MeetingWaiting:
    def __init__(self, policy: Policy) -> None:
        self._zone = ZoneInfo(policy.timezone)

    async def load(self, connection: Connection, pipeline: str | None, now: datetime) -> WaitingParts:
        """What waits, of a pipeline or of all."""
        waiting = await meeting.waiting(connection, pipeline, now - meeting_view.REVIEW_EVERY)
        studied = [one.number for one in waiting if one.state is TicketState.VERIFYING]
        sealed = dict(await plans.in_force(connection, studied))
        today = now.astimezone(self._zone).date()
        looks = {number: self._next_look(plan, today) for number, plan in sealed.items()}
        return WaitingParts(meeting_view.in_parts(waiting, now, today, looks), sealed, looks)

    def _next_look(self, sealed: SealedPlan, today: date) -> date | None:
        """The first look whose day has not passed."""
        return next((look for look in looks_of(sealed) if look >= today), None)
