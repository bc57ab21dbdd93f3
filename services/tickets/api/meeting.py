"""The improvement meeting of the API: what waits for a decision."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from services.tickets.api.faults import ApiFault
from services.tickets.api.models_of_flow import MeetingList, MeetingSection, WaitingDecision
from services.tickets.api.parts import ApiParts
from services.tickets.store.meeting import WaitingTicket
from services.tickets.web.meeting_view import HEADINGS, Asked
from services.tickets.web.meeting_waiting import MeetingWaiting
from shared.postgres.pool import snapshot

PipelineFilter = Annotated[str | None, Query(description="of this pipeline only")]


class MeetingEndpoint:
    def __init__(self, parts: ApiParts) -> None:
        self._pool, self._policy, self._renewals = parts.pool, parts.policy, parts.renewals
        self._clock, self._waiting = parts.clock, MeetingWaiting(parts.policy)

    async def meeting(self, pipeline: PipelineFilter = None) -> MeetingList:
        if pipeline is not None and pipeline not in self._policy.pipelines:
            raise ApiFault(404, "the policy has no such pipeline; /api/v1/pipelines lists all")
        async with snapshot(self._pool) as connection:
            found = await self._waiting.load(connection, pipeline, self._clock.now())
        due = [one for key, charts in self._renewals().items() if pipeline in (None, key) for one in charts]

        def decision(asked: Asked, one: WaitingTicket) -> WaitingDecision:
            day = (
                found.looks.get(one.number)
                if asked is Asked.LOOK
                else one.change_date
                if asked is Asked.CHANGE
                else None
            )
            return WaitingDecision(ticket=one.number, since=one.since, day=day)

        sections = [
            MeetingSection(asked=asked, heading=HEADINGS[asked], waiting=[decision(asked, one) for one in waiting])
            for asked, waiting in found.parts.items()
            if waiting
        ]
        return MeetingList(sections=sections, baselines=[chart.name for chart in due])
